import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { reasonOf, ServingError } from '../core/errors.ts'
import type { PlanLogHeader, PlanLogLine } from '../simulator/replay/plan-log.ts'

/**
 * The values of a recording of plans, the first of which is its head. A line that was cut off when the engine died
 * ends it.
 * @throws {ServingError} INVALID_CONFIG
 */
export async function* readPlanLog(path: string): AsyncGenerator<PlanLogHeader | PlanLogLine> {
  const input = createReadStream(path, 'utf8')
  const opened = new Promise<void>((resolve, reject) => {
    input.once('open', () => resolve())
    input.once('error', reject)
  })
  await opened.catch((cause: unknown) => {
    throw new ServingError('INVALID_CONFIG', `cannot be read (${reasonOf(cause)})`, { cause })
  })
  let number = 0
  for await (const text of createInterface({ input, crlfDelay: Infinity })) {
    number += 1
    const value = parse(text)
    if (value !== undefined) {
      yield value
      continue
    }
    if (number === 1) throw new ServingError('INVALID_CONFIG', 'is no recording of plans')
    process.stderr.write(`${path}:${number}: cut off; the recording ends here\n`)
    return
  }
}

/** Undefined for what is no object. */
function parse(text: string): PlanLogHeader | PlanLogLine | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as PlanLogLine) : undefined
  } catch {
    return undefined
  }
}
