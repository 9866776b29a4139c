import { crc32 } from 'node:zlib'
import { slotRuns, type SlotRun, type Tier } from './tier.ts'
import { readAll, writeAll, type TierFile } from './tier-file.ts'

export interface DiskTierParts {
  readonly file: TierFile
  readonly numSlots: number
  readonly bytesPerBlock: number
  /** Called once, when writing fails for the first time. */
  readonly onFault: (error: unknown) => void
}

/**
 * Blocks in a file: slot s at offset s * bytesPerBlock, side by side, so that a run of slots is one write. Every block
 * has a checksum (CRC-32, begun with its seal) that lies elsewhere: a torn write, a flipped bit or another block's
 * bytes are found when it is read. Plain I/O through the page cache: measured faster than direct I/O, for writes and,
 * as what was swapped out last is often wanted first, for reads.
 */
export class DiskTier implements Tier {
  readonly name = 'disk'
  readonly numSlots: number
  /** By slot; of use only for slots that were written. */
  readonly checksums: Uint32Array
  readonly #parts: DiskTierParts
  #hasFailed = false

  constructor(parts: DiskTierParts) {
    this.#parts = parts
    this.numSlots = parts.numSlots
    this.checksums = new Uint32Array(parts.numSlots)
  }

  async write(
    slots: readonly number[],
    seals: readonly number[],
    bytes: Uint8Array,
  ): Promise<readonly boolean[]> {
    const isDone = slots.map(() => false)
    const writeRun = async (run: SlotRun): Promise<void> => {
      for (let index = run.start; index < run.start + run.length; index += 1) {
        this.checksums[slots[index]!] = this.#checksum(bytes, index, seals[index]!)
      }
      try {
        await writeAll(this.#parts.file, this.#part(bytes, run), this.#offsetOf(slots, run))
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
      await readAll(this.#parts.file, this.#part(bytes, run), this.#offsetOf(slots, run))
      for (let index = run.start; index < run.start + run.length; index += 1) {
        isDone[index] = this.checksums[slots[index]!] === this.#checksum(bytes, index, seals[index]!)
      }
    }
    // What cannot be read is computed again: nothing else is lost.
    await Promise.allSettled(slotRuns(slots).map(readRun))
    return isDone
  }

  close(): Promise<void> {
    return this.#parts.file.close()
  }

  #part(bytes: Uint8Array, { start, length }: SlotRun): Uint8Array {
    const { bytesPerBlock } = this.#parts
    return bytes.subarray(start * bytesPerBlock, (start + length) * bytesPerBlock)
  }

  #offsetOf(slots: readonly number[], { start }: SlotRun): number {
    return slots[start]! * this.#parts.bytesPerBlock
  }

  #checksum(bytes: Uint8Array, index: number, seal: number): number {
    return crc32(this.#part(bytes, { start: index, length: 1 }), seal >>> 0)
  }
}
