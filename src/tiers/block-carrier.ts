/**
 * Carries transfers out: from the pool to the tiers and back, in pieces of some hundred kilobytes through staging
 * memory. Pieces overlap: while the file takes or gives some, the next one is copied and its checksums are taken.
 * Transfers in and out have a lane of their own each, so that who waits for a block does not wait for those that leave.
 */
import { toBlockId } from '../core/units.ts'
import type { BlockMemory } from '../executor/executor.ts'
import type { Extent } from '../kvcache/extent.ts'
import type { Transfer, TransferOutcome } from '../kvcache/transfer.ts'
import { StagingMemory } from './staging-memory.ts'
import type { Tier } from './tier.ts'
import { createTier, type TierParts, type TierPlace } from './tier-place.ts'

/** What the engine needs of whoever carries its transfers. */
export interface Carrier {
  start(transfer: Transfer): void
  /** Resolves when all that was started is done. */
  settled(): Promise<void>
  /** Resolves when nothing is under way any more: at once after the transfers that have begun. */
  close(): Promise<void>
}

export interface CarrierEvents {
  readonly onDone: (outcome: TransferOutcome) => void
  /** Writing to a tier failed for the first time. */
  readonly onFault: (error: unknown) => void
  /** The pool could not be read or written: the engine is lost. */
  readonly onBroken: (error: unknown) => void
}

export interface CarrierParts extends CarrierEvents {
  readonly memory: BlockMemory
  /** Fastest first, as transfers count them. */
  readonly places: readonly TierPlace[]
  /** Most bytes that move at once; as measured to be quick unless given. */
  readonly pieceBytes?: number | undefined
  readonly wrapFile?: TierParts['wrapFile']
}

const usualPieceBytes = 2 ** 20
/** One that is copied while a file is busy with the others. */
const piecesAtOnce = 3

/** Blocks [start, end) of a transfer. */
interface Piece {
  readonly start: number
  readonly end: number
  readonly extents: readonly Extent[]
}

export class BlockCarrier implements Carrier {
  readonly #parts: CarrierParts
  readonly #tiers: readonly Tier[]
  readonly #lanes: { readonly in: Lane; readonly out: Lane }
  #isClosed = false

  constructor(parts: CarrierParts) {
    this.#parts = parts
    const { memory, places, pieceBytes = usualPieceBytes } = parts
    const { bytesPerBlock } = memory
    const blocksPerPiece = Math.max(1, Math.floor(pieceBytes / bytesPerBlock))
    const numBytes = blocksPerPiece * bytesPerBlock
    const staging = new StagingMemory(bytesPerBlock, 2 * piecesAtOnce * numBytes)
    this.#tiers = places.map((place) => createTier(place, { ...parts, bytesPerBlock, staging }))
    const lane = (): Lane => ({
      blocksPerPiece,
      stagings: Array.from({ length: piecesAtOnce }, () => staging.take(numBytes)),
      last: Promise.resolve(),
    })
    this.#lanes = { in: lane(), out: lane() }
  }

  start(transfer: Transfer): void {
    const lane = this.#lanes[transfer.kind]
    lane.last = lane.last.then(async () => {
      if (this.#isClosed) return
      try {
        const outcome = await this.#carry(transfer, lane)
        if (!this.#isClosed) this.#parts.onDone(outcome)
      } catch (error) {
        this.#parts.onBroken(error)
      }
    })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.settled()
  }

  async settled(): Promise<void> {
    await Promise.all([this.#lanes.in.last, this.#lanes.out.last])
  }

  async #carry(transfer: Transfer, lane: Lane): Promise<TransferOutcome> {
    const { memory } = this.#parts
    const { bytesPerBlock } = memory
    const startedAt = performance.now()
    const isDone = this.#tiers.map(() => Array.from({ length: transfer.numBlocks }, () => false))
    const underWay: Promise<void>[] = []
    for (const [index, piece] of piecesOf(transfer, lane.blocksPerPiece).entries()) {
      const place = index % piecesAtOnce
      await underWay[place]
      const bytes = lane.stagings[place]!.subarray(0, (piece.end - piece.start) * bytesPerBlock)
      if (transfer.kind === 'out') await memory.read(piece.extents, bytes)
      const moved = this.#moveTiers(transfer, piece, bytes, isDone)
      underWay[place] = transfer.kind === 'out' ? moved : moved.then(() => memory.write(piece.extents, bytes))
      // Whoever waits for it first hears of its failure; nobody else has to.
      underWay[place].catch(() => undefined)
    }
    await Promise.all(underWay)
    const micros = Math.round((performance.now() - startedAt) * 1000)
    const moves = isDone.map((blocks) => ({
      numBytes: blocks.filter(Boolean).length * bytesPerBlock,
      micros,
    }))
    return { id: transfer.id, isDone, moves }
  }

  /** Checksums and copies are done, or calls to the file begun, when this returns; it resolves when they have ended. */
  async #moveTiers(transfer: Transfer, piece: Piece, bytes: Uint8Array, isDone: boolean[][]): Promise<void> {
    const seals = transfer.seals.slice(piece.start, piece.end)
    const moveTier = async (tier: Tier, index: number): Promise<void> => {
      const slots = transfer.slots[index]!.slice(piece.start, piece.end)
      if (slots.every((slot) => slot < 0)) return
      const done = await tier[transfer.kind === 'out' ? 'write' : 'read'](slots, seals, bytes)
      done.forEach((isBlockDone, at) => {
        isDone[index]![piece.start + at] = isBlockDone
      })
    }
    await Promise.all(this.#tiers.map(moveTier))
  }
}

/** Transfers of one kind, one after the other, through staging memory of their own. */
interface Lane {
  readonly blocksPerPiece: number
  readonly stagings: readonly Uint8Array[]
  last: Promise<void>
}

function piecesOf({ extents }: Transfer, blocksPerPiece: number): Piece[] {
  const pieces: Piece[] = []
  let start = 0
  let room = blocksPerPiece
  let inPiece: Extent[] = []
  const end = (): void => {
    const numBlocks = blocksPerPiece - room
    if (numBlocks > 0) pieces.push({ start, end: start + numBlocks, extents: inPiece })
    start += numBlocks
    room = blocksPerPiece
    inPiece = []
  }
  for (const extent of extents) {
    for (let done = 0; done < extent.length;) {
      const length = Math.min(room, extent.length - done)
      inPiece.push({ start: toBlockId(extent.start + done), length })
      done += length
      room -= length
      if (room === 0) end()
    }
  }
  end()
  return pieces
}
