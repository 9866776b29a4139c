import { createHmac, randomBytes } from 'node:crypto'
import type { Scheduler } from '../scheduler/scheduler.ts'
import type { PlanLogHeader, PlanLogLine } from '../simulator/replay/plan-log.ts'
import { NewFile } from './new-file.ts'
import { RecordedScheduler } from './recorded-scheduler.ts'

/** Bytes that are written at once: an engine that is killed loses no more. */
const bufferBytes = 64 * 1024

/** A recording of plans, line by line. An engine that takes another's place writes to a file beside the first one. */
export class PlanFile {
  readonly #file: NewFile
  #lines: string[] = []
  #numBuffered = 0

  /** @throws {ServingError} INVALID_CONFIG when the file cannot be made. */
  constructor(path: string, header: PlanLogHeader) {
    this.#file = new NewFile(path, 'recording of plans')
    this.#append(header)
  }

  /** `scheduler`, written down from now on. */
  record(scheduler: Scheduler): RecordedScheduler {
    const salt = randomBytes(32)
    const hideName = (name: string): string =>
      createHmac('sha256', salt).update(name).digest('base64url').slice(0, 12)
    return new RecordedScheduler(scheduler, this, { seed: salt.readInt32LE(), hideName })
  }

  write(line: PlanLogLine): void {
    this.#append(line)
    // Whoever is idle may stay so for long.
    if (this.#numBuffered >= bufferBytes || ('plan' in line && line.plan === 'nothing')) this.#flush()
  }

  close(): void {
    this.#flush()
    this.#file.close()
  }

  #append(value: PlanLogHeader | PlanLogLine): void {
    const line = `${JSON.stringify(value)}\n`
    this.#lines.push(line)
    this.#numBuffered += line.length
  }

  #flush(): void {
    this.#file.write(this.#lines.join(''))
    this.#lines = []
    this.#numBuffered = 0
  }
}
