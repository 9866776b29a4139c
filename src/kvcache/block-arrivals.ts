/**
 * Blocks on their way back from tiers, and those that came for a sequence that has not started yet: they stay until it
 * does, or until nobody waits for them any more.
 */
import { invariant } from '../core/errors.ts'
import { toBlockId, type BlockId, type SequenceId } from '../core/units.ts'
import { blocksOf } from './block-lists.ts'
import type { BlockPool } from './block-pool.ts'
import { slotPriority, type KvTiers, type TierHit } from './kv-tiers.ts'
import type { PrefixCache, PrefixHit } from './prefix-cache.ts'
import type { PrefixKeys } from './prefix-keys.ts'
import type { SwapCounts } from './swap-stats.ts'
import type { Transfer, TransferContent, TransferOutcome, TransferReason } from './transfer.ts'

/** For whom blocks come back. */
export interface Bringing {
  readonly id: SequenceId
  readonly keys: PrefixKeys
  readonly reason: TransferReason
}

export interface ArrivalParts {
  readonly pool: BlockPool
  readonly cache: PrefixCache
  readonly tiers: KvTiers
  readonly blockSize: number
  /** The step that counts as now. */
  readonly now: () => number
}

interface Arriving {
  readonly transfer: Transfer
  readonly sequenceId: SequenceId
  readonly keys: PrefixKeys
  /** Blocks of the sequence that are there and cannot go: first those that were in the pool, then those that came. */
  readonly held: BlockId[]
  readonly blocks: readonly BlockId[]
  isUnderWay: boolean
  /** Nobody waits for it any more. */
  isAbandoned: boolean
}

/** Room that is looked for behind blocks that come back, for those that follow. */
const growthBlocks = 16

export class BlockArrivals {
  readonly #parts: ArrivalParts
  readonly #counts: SwapCounts
  readonly #issue: (content: TransferContent) => Transfer
  readonly #arriving = new Map<SequenceId, Arriving>()

  constructor(parts: ArrivalParts, counts: SwapCounts, issue: (content: TransferContent) => Transfer) {
    this.#parts = parts
    this.#counts = counts
    this.#issue = issue
  }

  get numUnderWay(): number {
    let count = 0
    for (const { isUnderWay } of this.#arriving.values()) if (isUnderWay) count += 1
    return count
  }

  *underWay(): Generator<Transfer> {
    for (const { transfer, isUnderWay } of this.#arriving.values()) if (isUnderWay) yield transfer
  }

  /** Each block as often as it is held. */
  *heldBlocks(): Generator<BlockId> {
    for (const { held, blocks, isUnderWay } of this.#arriving.values()) {
      yield* held
      if (isUnderWay) yield* blocks
    }
  }

  /** Begins to bring blocks back for a sequence; they and those of the hit stay until `release`. */
  begin({ id, keys, reason }: Bringing, hit: PrefixHit, found: TierHit): boolean {
    const { pool, cache, tiers } = this.#parts
    const sequenceId = id
    invariant(!this.has(sequenceId), `sequence ${sequenceId} is brought back twice`)
    const after = hit.numBlocks > 0 ? toBlockId(hit.lastBlock) : undefined
    const extents = pool.allocate({ numBlocks: found.numBlocks, after, expectedGrowth: growthBlocks })
    if (extents === undefined) return false
    const held = after === undefined ? [] : cache.pathTo(after)
    cache.hold(held)
    // What was brought back before is a part of the hit.
    this.release(sequenceId)
    tiers.pin(found)
    const seals = Array.from({ length: found.numBlocks }, (_, index) => {
      const at = keys.offsetOf(hit.numBlocks + index)
      return keys.words[at]!
    })
    const transfer = this.#issue({ kind: 'in', reason, extents, seals, slots: found.slots })
    const blocks = extents.flatMap(blocksOf)
    this.#arriving.set(sequenceId, {
      transfer,
      sequenceId,
      keys,
      held,
      blocks,
      isUnderWay: true,
      isAbandoned: false,
    })
    return true
  }

  /** Whether blocks are on their way for the sequence. */
  has(sequenceId: SequenceId): boolean {
    return this.#arriving.get(sequenceId)?.isUnderWay === true
  }

  /** Nobody waits for the sequence's blocks any more: they may go when they are there. */
  release(sequenceId: SequenceId): void {
    const arriving = this.#arriving.get(sequenceId)
    if (arriving === undefined) return
    arriving.isAbandoned = true
    if (arriving.isUnderWay) return
    this.#arriving.delete(sequenceId)
    const { cache, blockSize, now } = this.#parts
    arriving.held.forEach((block, depth) => {
      cache.letGo(block, { step: now(), position: depth * blockSize, retention: 1 })
    })
  }

  /** Releases what is there for others than the sequence. False when there was nothing. */
  releaseOthers(sequenceId: SequenceId | undefined): boolean {
    const others = [...this.#arriving.values()].filter(
      (arriving) => !arriving.isUnderWay && arriving.sequenceId !== sequenceId,
    )
    for (const arriving of others) this.release(arriving.sequenceId)
    return others.length > 0
  }

  /** What came of a transfer. Returns the sequence that waits for it. */
  finish(outcome: TransferOutcome): SequenceId | undefined {
    const arriving = [...this.#arriving.values()].find(({ transfer }) => transfer.id === outcome.id)
    invariant(arriving !== undefined && arriving.isUnderWay, `transfer ${outcome.id} is not under way`)
    this.#land(arriving, outcome)
    return arriving.isAbandoned ? undefined : arriving.sequenceId
  }

  #land(arriving: Arriving, outcome: TransferOutcome): void {
    const { cache, pool, tiers } = this.#parts
    const { transfer, keys, held, blocks, sequenceId } = arriving
    const firstDepth = held.length
    tiers.noteRead(transfer.slots, outcome, (block) => slotPriority(this.#parts.now(), firstDepth + block))
    this.#counts.noteMoved(transfer, outcome, tiers.bytesPerBlock)
    const isThere = (index: number) => outcome.isDone.some((isDone) => isDone[index])
    let numGood = 0
    while (numGood < blocks.length && isThere(numGood)) numGood += 1
    blocks.forEach((own, index) => {
      if (index >= numGood) return pool.release({ start: own, length: 1 })
      const known = cache.insert(own, held.at(-1) ?? -1, keys, firstDepth + index)
      held.push(known)
      if (known === own) return
      // Somebody computed it meanwhile.
      cache.hold([known])
      pool.release({ start: own, length: 1 })
    })
    arriving.isUnderWay = false
    if (arriving.isAbandoned) this.release(sequenceId)
  }
}
