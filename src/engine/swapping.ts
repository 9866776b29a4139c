/** The tiers of one engine: their books for the scheduler, and what carries its transfers out. */
import { randomInt } from 'node:crypto'
import type { SwapperConfig } from '../kvcache/block-swapper.ts'
import { KvTiers } from '../kvcache/kv-tiers.ts'
import type { Transfer, TransferOutcome } from '../kvcache/transfer.ts'
import type { BlockMemory } from '../executor/executor.ts'
import { BlockCarrier } from '../tiers/block-carrier.ts'
import { openTiers, type OpenTiers, type TierEnvironment, type TierOptions } from '../tiers/open-tiers.ts'

export class Swapping {
  readonly config: SwapperConfig
  /** What the keys of blocks are made with. */
  readonly seed: number
  /** No step may begin while blocks are on their way. */
  readonly holdsSteps: boolean
  readonly #open: OpenTiers
  readonly #carrier: BlockCarrier
  #outcomes: TransferOutcome[] = []
  #fault: unknown
  #onOutcome: () => void = () => undefined

  private constructor(open: OpenTiers, memory: BlockMemory, isBlockwise: boolean) {
    const { tiers, keptTier } = open
    const books = new KvTiers(tiers, memory.bytesPerBlock)
    open.restore(books)
    this.#open = open
    this.config = { tiers: books, keptTier }
    this.seed = open.seed ?? newSeed()
    this.holdsSteps = isBlockwise
    this.#carrier = new BlockCarrier({
      memory,
      tiers,
      pieceBytes: isBlockwise ? memory.bytesPerBlock : undefined,
      onDone: (outcome) => {
        this.#outcomes.push(outcome)
        this.#onOutcome()
      },
      onBroken: (error) => {
        this.#fault ??= error
        this.#onOutcome()
      },
    })
  }

  /** Undefined where there are no tiers, or none could be had. */
  static async open(
    options: TierOptions,
    memory: BlockMemory,
    environment: Omit<TierEnvironment, 'bytesPerBlock' | 'now'>,
  ): Promise<Swapping | undefined> {
    const { bytesPerBlock } = memory
    const open = await openTiers(options, { ...environment, bytesPerBlock, now: Date.now() })
    return open.tiers.length === 0 ? undefined : new Swapping(open, memory, options.isBlockwise === true)
  }

  /** Called when `takeOutcomes` has something new. */
  set onOutcome(listener: () => void) {
    this.#onOutcome = listener
  }

  start(transfers: readonly Transfer[]): void {
    for (const transfer of transfers) this.#carrier.start(transfer)
  }

  /** Hands out each outcome once. @throws what broke the pool's memory: the engine is lost. */
  takeOutcomes(): readonly TransferOutcome[] {
    if (this.#fault !== undefined) throw this.#fault
    const outcomes = this.#outcomes
    if (outcomes.length === 0) return outcomes
    this.#outcomes = []
    return outcomes
  }

  /** To be called when the books have taken outcomes in. */
  noteChange(): void {
    this.#open.noteChange(this.config.tiers, this.seed)
  }

  /** Resolves when all that was started is done. */
  async settled(): Promise<void> {
    await this.#carrier.settled()
  }

  async close(): Promise<void> {
    await this.#carrier.close()
    await this.#open.close(this.config.tiers, this.seed)
  }
}

/** Keys are this process's secret: nobody can make prompts that collide with somebody else's. */
export const newSeed = (): number => randomInt(2 ** 48 - 1)
