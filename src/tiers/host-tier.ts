import { slotRuns, type Tier } from './tier.ts'

/** Memory is taken in pieces of so many bytes, as it is first needed. */
const slabBytes = 64 * 2 ** 20

/** Blocks in the memory of the host: for accelerators, whose own is smaller. */
export class HostTier implements Tier {
  readonly name = 'host'
  readonly numSlots: number
  readonly #bytesPerBlock: number
  readonly #slotsPerSlab: number
  readonly #slabs: (Uint8Array | undefined)[] = []

  constructor(numSlots: number, bytesPerBlock: number) {
    this.numSlots = numSlots
    this.#bytesPerBlock = bytesPerBlock
    this.#slotsPerSlab = Math.max(1, Math.floor(slabBytes / bytesPerBlock))
  }

  write(slots: readonly number[], _seals: readonly number[], bytes: Uint8Array): Promise<readonly boolean[]> {
    const isDone = slots.map(() => false)
    for (const { start, length } of slotRuns(slots)) {
      for (let index = start; index < start + length; index += 1) {
        const memory = this.#memoryOf(slots[index]!, true)
        memory?.set(this.#blockOf(bytes, index))
        isDone[index] = memory !== undefined
      }
    }
    return Promise.resolve(isDone)
  }

  read(slots: readonly number[], _seals: readonly number[], bytes: Uint8Array): Promise<readonly boolean[]> {
    const isDone = slots.map((slot, index) => {
      const memory = slot < 0 ? undefined : this.#memoryOf(slot, false)
      if (memory !== undefined) this.#blockOf(bytes, index).set(memory)
      return memory !== undefined
    })
    return Promise.resolve(isDone)
  }

  #blockOf(bytes: Uint8Array, index: number): Uint8Array {
    return bytes.subarray(index * this.#bytesPerBlock, (index + 1) * this.#bytesPerBlock)
  }

  /** Undefined where memory has run out, or was never written. */
  #memoryOf(slot: number, isNeeded: boolean): Uint8Array | undefined {
    const index = Math.floor(slot / this.#slotsPerSlab)
    if (isNeeded) this.#slabs[index] ??= this.#allocate(index)
    const slab = this.#slabs[index]
    return slab && this.#blockOf(slab, slot % this.#slotsPerSlab)
  }

  #allocate(index: number): Uint8Array | undefined {
    const numSlots = Math.min(this.#slotsPerSlab, this.numSlots - index * this.#slotsPerSlab)
    try {
      return new Uint8Array(numSlots * this.#bytesPerBlock)
    } catch {
      return undefined
    }
  }
}
