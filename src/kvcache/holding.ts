import { BlockTable } from './block-table.ts'
import type { PrefixKeys } from './prefix-keys.ts'

/** What one sequence holds. */
export interface Holding {
  table: BlockTable
  readonly keys: PrefixKeys | undefined
  /** How long its blocks are wished to stay afterwards, as a multiple of what is usual. */
  readonly retention: number
  /** Blocks from the first one on that are in the prefix cache. */
  numInserted: number
  /** Blocks from the first one on whose tokens all have KV: nobody writes to them any more. */
  numFull: number
}

export function newHolding(): Holding {
  return { table: new BlockTable(), keys: undefined, retention: 1, numInserted: 0, numFull: 0 }
}
