import { ServingError } from '../core/errors.ts'

/** Deeper than any schema or message needs; what works on bodies by recursion is safe within it. */
const maxDepth = 200

/** @throws {ServingError} INVALID_REQUEST for a body that is nested too deeply, naming its field. */
export function checkDepth(body: unknown): void {
  if (!isPlain(body)) return checkField(body, undefined)
  for (const [field, value] of Object.entries(body)) checkField(value, field)
}

function checkField(value: unknown, field: string | undefined): void {
  let level: readonly unknown[] = [value]
  for (let depth = 1; level.length > 0; depth++) {
    if (depth > maxDepth) throw tooDeep(field)
    const next: unknown[] = []
    for (const one of level) {
      for (const child of childrenOf(one)) if (typeof child === 'object' && child !== null) next.push(child)
    }
    level = next
  }
}

function tooDeep(field: string | undefined): ServingError {
  const message = `${field === undefined ? 'The body' : `'${field}'`} is nested more than ${maxDepth} levels deep.`
  return new ServingError('INVALID_REQUEST', message, field === undefined ? {} : { param: field })
}

function childrenOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value
  return isPlain(value) ? Object.values(value) : []
}

/** What JSON makes: uploads come as buffers or streams. */
function isPlain(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
