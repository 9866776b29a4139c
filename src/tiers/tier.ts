/**
 * A place below the KV pool that holds whole blocks: host memory, a file. It knows slots and bytes; which block is in
 * which slot, and whether it is worth it, is decided in `kvcache/`.
 */
export interface Tier {
  readonly name: TierName
  readonly numSlots: number
  /**
   * Writes block i of `bytes` to `slots[i]`, sealed with `seals[i]`; blocks without a slot (below 0) are left out.
   * Answers which are there now. Never rejects: what fails is not there.
   */
  write(slots: readonly number[], seals: readonly number[], bytes: Uint8Array): Promise<readonly boolean[]>
  /**
   * Reads `slots[i]` to block i of `bytes`. Answers which are what was written with this seal; the bytes of the others
   * are undefined.
   */
  read(slots: readonly number[], seals: readonly number[], bytes: Uint8Array): Promise<readonly boolean[]>
}

export type TierName = 'host' | 'disk'

/** Positions [start, start + length) of a list of slots, which lie side by side in their tier. */
export interface SlotRun {
  readonly start: number
  readonly length: number
}

/** Slots below 0 are in no run. */
export function slotRuns(slots: readonly number[]): SlotRun[] {
  const runs: { start: number; length: number }[] = []
  slots.forEach((slot, index) => {
    if (slot < 0) return
    const last = runs.at(-1)
    const continues =
      last !== undefined && last.start + last.length === index && slots[index - 1] === slot - 1
    if (continues) last.length += 1
    else runs.push({ start: index, length: 1 })
  })
  return runs
}
