import { transferReasons, type Transfer, type TransferOutcome, type TransferReason } from './transfer.ts'

/** What tiers did for the pool. Counters ever grow. */
export interface SwapStats {
  readonly movedBytes: Readonly<Record<TransferReason, number>>
  /** Tokens' blocks that came from each tier, fastest first. */
  readonly tiers: readonly {
    readonly name: string
    readonly numBlocksRead: number
    readonly numBlocksWritten: number
  }[]
  /** Blocks of transfers that a tier could not write, or read back as they were. */
  readonly numFailedWrites: number
  readonly numFailedReads: number
  /** Evicted blocks: a tier had them; too short to be found by key; cheaper to compute again than to move; in a hurry. */
  readonly numClean: number
  readonly numPartial: number
  readonly numCheap: number
  readonly numHurried: number
}

export class SwapCounts {
  numClean = 0
  numPartial = 0
  numCheap = 0
  numHurried = 0
  #numFailedWrites = 0
  #numFailedReads = 0
  readonly #movedBytes = Object.fromEntries(transferReasons.map((reason) => [reason, 0])) as Record<
    TransferReason,
    number
  >
  readonly #tiers: { name: string; numBlocksRead: number; numBlocksWritten: number }[]

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

  snapshot(): SwapStats {
    const { numClean, numPartial, numCheap, numHurried } = this
    return {
      movedBytes: { ...this.#movedBytes },
      tiers: this.#tiers.map((tier) => ({ ...tier })),
      numFailedWrites: this.#numFailedWrites,
      numFailedReads: this.#numFailedReads,
      numClean,
      numPartial,
      numCheap,
      numHurried,
    }
  }
}
