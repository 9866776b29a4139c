import { transferReasons, type Transfer, type TransferOutcome, type TransferReason } from './transfer.ts'

export interface TierMoves {
  readonly name: string
  /** Blocks that came back from the tier, and that went there. */
  readonly numBlocksRead: number
  readonly numBlocksWritten: number
}

/** What is in a tier now. */
export interface TierFill {
  /** Slots that are of use, and those given up because writing to them failed. */
  readonly numSlots: number
  readonly numRetired: number
  /** Slots with a block that can be found, and with none; the others are being written, or still being read. */
  readonly numKept: number
  readonly numFree: number
}

/** What tiers did for the pool. Counters ever grow. */
export interface SwapStats {
  readonly movedBytes: Readonly<Record<TransferReason, number>>
  /** Fastest first. */
  readonly tiers: readonly (TierFill & TierMoves)[]
  /** Blocks of transfers that a tier could not write, or read back as they were. */
  readonly numFailedWrites: number
  readonly numFailedReads: number
  /** Evicted blocks: a tier had them; too short to be found by key; cheaper to compute again than to move; in a hurry. */
  readonly numClean: number
  readonly numPartial: number
  readonly numCheap: number
  readonly numHurried: number
  /** Steps that could not begin before a move was done, and for how long nothing ran because of that. */
  readonly numWaitedSteps: number
  readonly waitedMicros: number
}

const countNames = [
  'numFailedWrites',
  'numFailedReads',
  'numClean',
  'numPartial',
  'numCheap',
  'numHurried',
  'numWaitedSteps',
  'waitedMicros',
] as const satisfies readonly (keyof SwapStats)[]

export class SwapCounts {
  numClean = 0
  numPartial = 0
  numCheap = 0
  numHurried = 0
  numWaitedSteps = 0
  waitedMicros = 0
  #numFailedWrites = 0
  #numFailedReads = 0
  readonly #movedBytes = Object.fromEntries(transferReasons.map((reason) => [reason, 0])) as Record<
    TransferReason,
    number
  >
  readonly #tiers: { -readonly [name in keyof TierMoves]: TierMoves[name] }[]

  constructor(names: readonly string[]) {
    this.#tiers = names.map((name) => ({ name, numBlocksRead: 0, numBlocksWritten: 0 }))
  }

  noteMoved({ kind, reason, slots }: Transfer, { isDone }: TransferOutcome, bytesPerBlock: number): void {
    this.#tiers.forEach((tier, index) => {
      const numWanted = slots[index]!.filter((slot) => slot >= 0).length
      const numDone = isDone[index]!.filter(Boolean).length
      this.#movedBytes[reason] += numDone * bytesPerBlock
      if (kind === 'in') {
        tier.numBlocksRead += numDone
        this.#numFailedReads += numWanted - numDone
      } else {
        tier.numBlocksWritten += numDone
        this.#numFailedWrites += numWanted - numDone
      }
    })
  }

  snapshot(fills: readonly TierFill[]): SwapStats {
    const { numClean, numPartial, numCheap, numHurried, numWaitedSteps, waitedMicros } = this
    return {
      movedBytes: { ...this.#movedBytes },
      tiers: this.#tiers.map((tier, index) => ({ ...tier, ...fills[index]! })),
      numFailedWrites: this.#numFailedWrites,
      numFailedReads: this.#numFailedReads,
      numClean,
      numPartial,
      numCheap,
      numHurried,
      numWaitedSteps,
      waitedMicros,
    }
  }
}

/** The snapshot with the counters of an earlier process added. */
export function withSwapsOf<Stats extends SwapStats>(stats: Stats, before: SwapStats | undefined): Stats {
  if (before === undefined) return stats
  const sums = countNames.map((name) => [name, stats[name] + before[name]])
  const movedBytes = transferReasons.map((reason) => [
    reason,
    stats.movedBytes[reason] + before.movedBytes[reason],
  ])
  const tiers = stats.tiers.map((tier) => {
    const earlier = before.tiers.find(({ name }) => name === tier.name)
    const numBlocksRead = tier.numBlocksRead + (earlier?.numBlocksRead ?? 0)
    return {
      ...tier,
      numBlocksRead,
      numBlocksWritten: tier.numBlocksWritten + (earlier?.numBlocksWritten ?? 0),
    }
  })
  return { ...stats, ...Object.fromEntries(sums), movedBytes: Object.fromEntries(movedBytes), tiers }
}
