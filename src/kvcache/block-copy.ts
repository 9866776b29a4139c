import type { BlockId } from '../core/units.ts'

/** The first `numTokens` token slots of one block are to become those of another; whoever copies may copy all. */
export interface BlockCopy {
  readonly from: BlockId
  readonly to: BlockId
  readonly numTokens: number
}
