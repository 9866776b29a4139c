import type { RandomStream } from '../../src/core/random.ts'
import type { Transfer, TransferOutcome } from '../../src/kvcache/transfer.ts'
import type { PagedMachine } from './paged-machine.ts'

export interface TierFaults {
  /** Probability that a tier cannot write, or cannot read back, one block. */
  readonly writing: number
  readonly reading: number
  /** Steps that a transfer takes at most. */
  readonly mostSteps: number
}

interface UnderWay {
  readonly transfer: Transfer
  readonly endsAt: number
  /** What was read when it began; undefined where that is done at the end. */
  readonly early: readonly (readonly number[])[] | undefined
}

const garbage = -7

/** Tiers of a `PagedMachine`: slow, and wrong where they say so. Blocks that come in are garbage until they are there. */
export class TierMachine {
  readonly #machine: PagedMachine
  readonly #random: RandomStream
  readonly #faults: TierFaults
  readonly #contents: Map<number, { readonly seal: number; readonly block: readonly number[] }>[]
  #underWay: UnderWay[] = []
  #now = 0

  constructor(machine: PagedMachine, numTiers: number, random: RandomStream, faults: TierFaults) {
    this.#machine = machine
    this.#random = random
    this.#faults = faults
    this.#contents = Array.from({ length: numTiers }, () => new Map())
  }

  get numUnderWay(): number {
    return this.#underWay.length
  }

  start(transfers: readonly Transfer[]): void {
    for (const transfer of transfers) {
      const isEarly = transfer.kind === 'out' && this.#random.next() < 0.5
      const early = isEarly ? blocksOf(transfer).map((block) => this.#machine.readBlock(block)) : undefined
      if (transfer.kind === 'in') this.#spoil(transfer)
      const endsAt = this.#now + Math.floor(this.#random.next() * this.#faults.mostSteps)
      this.#underWay.push({ transfer, endsAt, early })
    }
  }

  /** Outcomes of the transfers that end now. */
  advance(): TransferOutcome[] {
    this.#now += 1
    const ended = this.#underWay.filter(({ endsAt }) => endsAt < this.#now)
    this.#underWay = this.#underWay.filter(({ endsAt }) => endsAt >= this.#now)
    return ended.map((each) => (each.transfer.kind === 'out' ? this.#write(each) : this.#read(each.transfer)))
  }

  #write({ transfer, early }: UnderWay): TransferOutcome {
    const isDone = transfer.slots.map((slots, tier) =>
      blocksOf(transfer).map((block, index) => {
        const slot = slots[index]!
        if (slot < 0) return false
        const isWritten = this.#random.next() >= this.#faults.writing
        const content = isWritten ? (early?.[index] ?? this.#machine.readBlock(block)) : []
        this.#contents[tier]!.set(slot, { seal: transfer.seals[index]!, block: content })
        return isWritten
      }),
    )
    return outcomeOf(transfer, isDone)
  }

  #read(transfer: Transfer): TransferOutcome {
    const isDone = transfer.slots.map((slots, tier) =>
      blocksOf(transfer).map((block, index) => {
        const slot = slots[index]!
        if (slot < 0) return false
        const content = this.#contents[tier]!.get(slot)
        if (content === undefined) throw new Error(`slot ${slot} is read and was never written`)
        if (content.seal !== transfer.seals[index]) throw new Error(`slot ${slot} holds another block`)
        const isRead = this.#random.next() >= this.#faults.reading
        if (isRead) this.#machine.writeBlock(block, content.block)
        return isRead
      }),
    )
    return outcomeOf(transfer, isDone)
  }

  #spoil(transfer: Transfer): void {
    for (const block of blocksOf(transfer)) {
      this.#machine.writeBlock(
        block,
        this.#machine.readBlock(block).map(() => garbage),
      )
    }
  }
}

function blocksOf({ extents }: Transfer): number[] {
  return extents.flatMap(({ start, length }) => Array.from({ length }, (_, offset) => start + offset))
}

function outcomeOf({ id, numBlocks }: Transfer, isDone: boolean[][]): TransferOutcome {
  const moves = isDone.map(() => ({ numBytes: numBlocks, micros: 10 + numBlocks }))
  return { id, isDone, moves }
}
