/** Extents as lists of blocks, and back. */
import { toBlockId, type BlockId } from '../core/units.ts'
import type { Extent } from './extent.ts'

export function blocksOf({ start, length }: Extent): BlockId[] {
  return Array.from({ length }, (_, offset) => toBlockId(start + offset))
}

/** The fewest extents that hold the blocks in their order. */
export function toExtents(blocks: readonly BlockId[]): Extent[] {
  const extents: { start: BlockId; length: number }[] = []
  for (const block of blocks) {
    const last = extents.at(-1)
    if (last !== undefined && last.start + last.length === block) last.length += 1
    else extents.push({ start: block, length: 1 })
  }
  return extents
}
