import type { StagingMemory } from './staging-memory.ts'
import { slotRuns, type SlotRun, type Tier } from './tier.ts'
import { readAll, writeAll, type TierFile } from './tier-file.ts'
import { Turns } from './turns.ts'

export interface DiskTierParts {
  readonly file: TierFile
  readonly bytesPerBlock: number
  /** By slot; of use only for slots that were written. */
  readonly checksums: BigUint64Array
  readonly staging: StagingMemory
  /** Called once, when writing fails for the first time. */
  readonly onFault: (error: unknown) => void
}

/** Calls of one direction at once: they share the threads of Node's pool with the kernels' steps. */
const mostAtOnce = 2

/**
 * Blocks in a file: slot s at offset s * bytesPerBlock, side by side, so that a run of slots is one write. Every block
 * has a checksum, begun with its seal, that lies elsewhere: a torn write, a flipped bit or another block's bytes are
 * found when it is read. Plain I/O through the page cache: measured faster than direct I/O, for writes and, as what was
 * swapped out last is often wanted first, for reads.
 */
export class DiskTier implements Tier {
  readonly name = 'disk'
  readonly numSlots: number
  readonly #parts: DiskTierParts
  readonly #writing = new Turns(mostAtOnce)
  readonly #reading = new Turns(mostAtOnce)
  #hasFailed = false

  constructor(parts: DiskTierParts) {
    this.#parts = parts
    this.numSlots = parts.checksums.length
  }

  async write(
    slots: readonly number[],
    seals: readonly number[],
    bytes: Uint8Array,
  ): Promise<readonly boolean[]> {
    const isDone = slots.map(() => false)
    const writeRun = async (run: SlotRun): Promise<void> => {
      for (let index = run.start; index < run.start + run.length; index += 1) {
        this.#parts.checksums[slots[index]!] = this.#checksum(bytes, index, seals[index]!)
      }
      try {
        const offset = this.#offsetOf(slots, run)
        await this.#writing.take(() => writeAll(this.#parts.file, this.#part(bytes, run), offset))
        isDone.fill(true, run.start, run.start + run.length)
      } catch (error) {
        if (!this.#hasFailed) this.#parts.onFault(error)
        this.#hasFailed = true
      }
    }
    await Promise.all(slotRuns(slots).map(writeRun))
    return isDone
  }

  async read(
    slots: readonly number[],
    seals: readonly number[],
    bytes: Uint8Array,
  ): Promise<readonly boolean[]> {
    const isDone = slots.map(() => false)
    const readRun = async (run: SlotRun): Promise<void> => {
      const offset = this.#offsetOf(slots, run)
      await this.#reading.take(() => readAll(this.#parts.file, this.#part(bytes, run), offset))
      for (let index = run.start; index < run.start + run.length; index += 1) {
        isDone[index] = this.#parts.checksums[slots[index]!] === this.#checksum(bytes, index, seals[index]!)
      }
    }
    // What cannot be read is computed again: nothing else is lost.
    await Promise.allSettled(slotRuns(slots).map(readRun))
    return isDone
  }

  #part(bytes: Uint8Array, { start, length }: SlotRun): Uint8Array {
    const { bytesPerBlock } = this.#parts
    return bytes.subarray(start * bytesPerBlock, (start + length) * bytesPerBlock)
  }

  #offsetOf(slots: readonly number[], { start }: SlotRun): number {
    return slots[start]! * this.#parts.bytesPerBlock
  }

  #checksum(bytes: Uint8Array, index: number, seal: number): bigint {
    return this.#parts.staging.checksum(this.#part(bytes, { start: index, length: 1 }), seal)
  }
}
