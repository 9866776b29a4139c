/**
 * Carries transfers out: from the pool to the tiers and back, in pieces of a few megabytes through staging memory, the
 * next piece being read while the last one is written. Transfers in and out have a lane of their own each, so that who
 * waits for a block does not wait for those that leave.
 */
import { toBlockId } from '../core/units.ts'
import type { Extent } from '../kvcache/extent.ts'
import type { Transfer, TransferOutcome } from '../kvcache/transfer.ts'
import type { BlockMemory } from '../executor/executor.ts'
import type { Tier } from './tier.ts'

export interface BlockCarrierParts {
  readonly memory: BlockMemory
  /** Fastest first, as transfers count them. */
  readonly tiers: readonly Tier[]
  /** Most bytes that move at once; some megabytes unless given. */
  readonly pieceBytes?: number | undefined
  readonly onDone: (outcome: TransferOutcome) => void
  /** The pool could not be read or written: the engine is lost. */
  readonly onBroken: (error: unknown) => void
}

const usualPieceBytes = 8 * 2 ** 20

/** Blocks [start, end) of a transfer. */
interface Piece {
  readonly start: number
  readonly end: number
  readonly extents: readonly Extent[]
}

export class BlockCarrier {
  readonly #parts: BlockCarrierParts
  readonly #lanes: { readonly in: Lane; readonly out: Lane }
  #isClosed = false

  constructor(parts: BlockCarrierParts) {
    this.#parts = parts
    const { bytesPerBlock } = parts.memory
    const blocksPerPiece = Math.max(1, Math.floor((parts.pieceBytes ?? usualPieceBytes) / bytesPerBlock))
    const lane = (): Lane => new Lane(blocksPerPiece, bytesPerBlock)
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

  /** Resolves when nothing is under way any more: at once after the transfers that have begun. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.settled()
  }

  /** Resolves when all that was started is done. */
  async settled(): Promise<void> {
    await Promise.all([this.#lanes.in.last, this.#lanes.out.last])
  }

  async #carry(transfer: Transfer, lane: Lane): Promise<TransferOutcome> {
    const { memory, tiers } = this.#parts
    const startedAt = performance.now()
    const isDone = tiers.map(() => Array.from({ length: transfer.numBlocks }, () => false))
    let previous: Promise<void> = Promise.resolve()
    for (const [index, piece] of piecesOf(transfer, lane.blocksPerPiece).entries()) {
      const bytes = lane.staging(index % 2).subarray(0, (piece.end - piece.start) * memory.bytesPerBlock)
      if (transfer.kind === 'out') {
        await memory.read(piece.extents, bytes)
        await previous
        previous = this.#moveTiers(transfer, piece, bytes, isDone)
      } else {
        await this.#moveTiers(transfer, piece, bytes, isDone)
        await previous
        previous = memory.write(piece.extents, bytes)
      }
      // Whoever waits for it first hears of its failure; nobody else has to.
      previous.catch(() => undefined)
    }
    await previous
    const micros = Math.round((performance.now() - startedAt) * 1000)
    const moves = isDone.map((blocks) => ({
      numBytes: blocks.filter(Boolean).length * memory.bytesPerBlock,
      micros,
    }))
    return { id: transfer.id, isDone, moves }
  }

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
    await Promise.all(this.#parts.tiers.map(moveTier))
  }
}

/** Transfers of one kind, one after the other, through staging memory of their own. */
class Lane {
  readonly blocksPerPiece: number
  last: Promise<void> = Promise.resolve()
  readonly #numBytes: number
  readonly #stagings: Uint8Array[] = []

  constructor(blocksPerPiece: number, bytesPerBlock: number) {
    this.blocksPerPiece = blocksPerPiece
    this.#numBytes = blocksPerPiece * bytesPerBlock
  }

  staging(index: number): Uint8Array {
    return (this.#stagings[index] ??= new Uint8Array(this.#numBytes))
  }
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
