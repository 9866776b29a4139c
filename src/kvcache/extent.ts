import type { BlockId } from '../core/units.ts'

/** A run of adjacent blocks in the pool: [start, start + length). */
export interface Extent {
  readonly start: BlockId
  readonly length: number
}
