/** The grammar of an answer: what its request asks for, checked before anything is computed. */
import { ServingError } from '../core/errors.ts'
import type { GrammarSpec } from '../core/grammar-spec.ts'
import { checkSpec } from '../grammar/read-spec.ts'
import { structureOf, type StructureFields } from './schemas/structure.ts'

/** Grammars found good lately, by content: a client sends the same one again and again. */
const checked = new Set<string>()
const maxChecked = 256
/** More levels than this overflow the stacks of whoever takes them apart. */
const maxNesting = 500

/** @throws {ServingError} INVALID_REQUEST naming the field, and within a schema the keyword, that cannot be kept to. */
export function grammarOf(body: StructureFields): GrammarSpec | undefined {
  const asked = structureOf(body)
  if (asked === undefined) return undefined
  return checkedSpec(asked.spec, asked.param)
}

/** The same grammar. @throws {ServingError} INVALID_REQUEST as `grammarOf`. */
export function checkedSpec(spec: GrammarSpec, param: string): GrammarSpec {
  if (isDeeperThan(spec, maxNesting)) {
    throw new ServingError('INVALID_REQUEST', `Invalid '${param}': it is nested too deeply.`, { param })
  }
  const key = JSON.stringify(spec)
  if (checked.has(key)) return spec
  try {
    checkSpec(spec)
  } catch (error) {
    if (!(error instanceof ServingError)) throw error
    throw new ServingError(error.code, `Invalid '${param}': ${error.message}.`, { param, cause: error })
  }
  for (const oldest of checked) {
    if (checked.size < maxChecked) break
    checked.delete(oldest)
  }
  checked.add(key)
  return spec
}

function isDeeperThan(value: unknown, limit: number): boolean {
  let level: unknown[] = [value]
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > limit) return true
    level = level.flatMap((one) => (typeof one === 'object' && one !== null ? Object.values(one) : []))
  }
  return false
}
