/** Which sequences of a step read the same leading KV, and for how long. Pure. */
import type { SlotRun } from './kv-view.ts'

/** Sequences whose first `numSharedTokens` tokens lie in the same slots. */
export interface SharedGroup {
  /** Indices into the list that was asked about, ascending. */
  readonly members: readonly number[]
  readonly numSharedTokens: number
}

/** What attending together would save; at most 0 where it does not pay. Any unit. */
export type Saving = (group: SharedGroup) => number

/** Finds groups that save the most, each sequence in at most one. `runs[i]` are the used slots of sequence i. */
export function findSharedGroups(
  runs: readonly (readonly SlotRun[])[],
  candidates: readonly number[],
  saving: Saving,
): SharedGroup[] {
  return bestGroups(runs, candidates, 0, saving).groups
}

interface Choice {
  readonly groups: SharedGroup[]
  readonly saved: number
}

/** `members` agree on their first `numShared` tokens: either they attend together that far, or parts of them further. */
function bestGroups(
  runs: readonly (readonly SlotRun[])[],
  members: readonly number[],
  numShared: number,
  saving: Saving,
): Choice {
  let groups: SharedGroup[] = []
  let saved = 0
  for (const part of partsAfter(runs, members, numShared)) {
    if (part.length < 2) continue
    const numSharedTokens = commonTokens(part.map((member) => runs[member] ?? []))
    const together = { members: part, numSharedTokens }
    const parts = bestGroups(runs, part, numSharedTokens, saving)
    const savedTogether = saving(together)
    const isBetter = savedTogether > 0 && savedTogether >= parts.saved
    groups = groups.concat(isBetter ? [together] : parts.groups)
    saved += isBetter ? savedTogether : parts.saved
  }
  return { groups, saved }
}

/** Divides sequences by the slot of their token `position`; those that end before it stay out. */
function partsAfter(
  runs: readonly (readonly SlotRun[])[],
  members: readonly number[],
  position: number,
): number[][] {
  const bySlot = new Map<number, number[]>()
  for (const member of members) {
    const slot = slotOf(runs[member] ?? [], position)
    if (slot === undefined) continue
    const part = bySlot.get(slot)
    if (part === undefined) bySlot.set(slot, [member])
    else part.push(member)
  }
  return [...bySlot.values()]
}

export function slotOf(runs: readonly SlotRun[], position: number): number | undefined {
  let left = position
  for (const run of runs) {
    if (left < run.length) return run.slot + left
    left -= run.length
  }
  return undefined
}

/** Writes the slots of tokens [start, end) to `target` from `at` on; returns where they end. */
export function copySlots(
  runs: readonly SlotRun[],
  start: number,
  end: number,
  target: Int32Array,
  at: number,
): number {
  let next = at
  let position = 0
  for (const { slot, length } of runs) {
    const first = Math.max(start - position, 0)
    const last = Math.min(end - position, length)
    for (let offset = first; offset < last; offset++) target[next++] = slot + offset
    position += length
  }
  return next
}

/** How many leading tokens of all lists lie in the same slots. */
export function commonTokens(lists: readonly (readonly SlotRun[])[]): number {
  const [first, ...others] = lists
  if (first === undefined) return 0
  return others.reduce((common, other) => Math.min(common, commonOfTwo(first, other)), lengthOf(first))
}

/** From the first slot of all runs to the last. */
export function coveringRun(runs: readonly SlotRun[]): SlotRun {
  let start = Number.POSITIVE_INFINITY
  let end = 0
  for (const { slot, length } of runs) {
    start = Math.min(start, slot)
    end = Math.max(end, slot + length)
  }
  return { slot: start, length: end - start }
}

export function lengthOf(runs: readonly SlotRun[]): number {
  return runs.reduce((sum, { length }) => sum + length, 0)
}

/** Walks both lists at once; their runs may be cut at different places. */
function commonOfTwo(a: readonly SlotRun[], b: readonly SlotRun[]): number {
  let common = 0
  let [indexA, indexB, offsetA, offsetB] = [0, 0, 0, 0]
  for (;;) {
    const runA = a[indexA]
    const runB = b[indexB]
    if (runA === undefined || runB === undefined) return common
    if (runA.slot + offsetA !== runB.slot + offsetB) return common
    const step = Math.min(runA.length - offsetA, runB.length - offsetB)
    common += step
    offsetA += step
    offsetB += step
    if (offsetA === runA.length) [indexA, offsetA] = [indexA + 1, 0]
    if (offsetB === runB.length) [indexB, offsetB] = [indexB + 1, 0]
  }
}
