import type { Extent } from './extent.ts'

/**
 * Why blocks move. `room`: out, before the pool gives them to somebody else. `keep`: out, so that they outlive the
 * process. `resume`: in, for a sequence that was preempted. `prefix`: in, for a prompt that begins like one before.
 */
export type TransferReason = 'room' | 'keep' | 'resume' | 'prefix'

export const transferReasons = [
  'room',
  'keep',
  'resume',
  'prefix',
] as const satisfies readonly TransferReason[]

/** No slot: the tier has no part in moving the block. */
export const noSlot = -1

/**
 * Blocks on their way between the pool and the tiers below it; plain data. Until its outcome is told, none of its
 * blocks is freed or written to by anybody else, and none of its slots is given away.
 */
export interface Transfer {
  readonly id: number
  readonly kind: 'out' | 'in'
  readonly reason: TransferReason
  /** The blocks of the pool, in token order. */
  readonly extents: readonly Extent[]
  readonly numBlocks: number
  /** A word of each block's key: a tier seals it into what it keeps, so that a slot cannot pass for another's. */
  readonly seals: readonly number[]
  /** `slots[tier][block]`: where the block is in each tier, or `noSlot`. */
  readonly slots: readonly (readonly number[])[]
}

/** A transfer that has no number yet. */
export type TransferContent = Omit<Transfer, 'id' | 'numBlocks'>

export interface TransferOutcome {
  readonly id: number
  /** `isDone[tier][block]`: the tier's part in moving the block is done, and well; false where it had none. */
  readonly isDone: readonly (readonly boolean[])[]
  /** What each tier moved in what time, as far as it went well. */
  readonly moves: readonly TierMove[]
}

export interface TierMove {
  readonly numBytes: number
  /** From its first byte to its last, waiting for nothing but the tier and the copy to or from the pool. */
  readonly micros: number
}
