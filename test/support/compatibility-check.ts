/**
 * Whether docs/compatibility.md says what the unit tests tried, known at the end of a run of all of them. Where
 * SWITCHYARD_WRITE_COMPATIBILITY is set the page is written.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TestModule, Vitest } from 'vitest/node'
import { compatibilityDocs } from '../../tools/compatibility-docs.ts'
import { exerciseVariable, type Exercise } from './exercise-log.ts'

const path = fileURLToPath(new URL('../../docs/compatibility.md', import.meta.url))

export class CompatibilityCheck {
  readonly #vitest: Vitest
  readonly #dir = mkdtempSync(join(tmpdir(), 'exercises-'))

  /** Before workers start: they take over the environment. */
  constructor(vitest: Vitest) {
    this.#vitest = vitest
    process.env[exerciseVariable] = this.#dir
    process.once('exit', () => rmSync(this.#dir, { recursive: true, force: true }))
  }

  /** What is wrong; undefined when nothing is, or when not all was run or not all passed. */
  async complaint(modules: readonly TestModule[]): Promise<string | undefined> {
    if (!(await this.#isWhole(modules)) || !modules.every((module) => module.ok())) return undefined
    const docs = compatibilityDocs(exercisesIn(this.#dir))
    const isWritten = process.env['SWITCHYARD_WRITE_COMPATIBILITY'] !== undefined
    if (isWritten) writeFileSync(path, docs)
    const now = readFileSync(path, 'utf8')
    if (now === docs) return undefined
    const lines = new Set(now.split('\n'))
    const news = docs.split('\n').filter((line) => !lines.has(line))
    return ['docs/compatibility.md is not current: npm run docs:compatibility', ...news].join('\n')
  }

  async #isWhole(modules: readonly TestModule[]): Promise<boolean> {
    const { testNamePattern, shard } = this.#vitest.config
    if (testNamePattern !== undefined || shard !== undefined) return false
    const all = (await this.#vitest.globTestSpecifications()).filter(({ project }) => project.name === 'unit')
    const run = new Set(modules.map(({ moduleId }) => moduleId))
    return all.length > 0 && all.every(({ moduleId }) => run.has(moduleId))
  }
}

function exercisesIn(dir: string): Exercise[] {
  return readdirSync(dir).flatMap((name) =>
    readFileSync(join(dir, name), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Exercise),
  )
}
