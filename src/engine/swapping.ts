/** The tiers of one engine: their books for the scheduler, and what carries its transfers out. */
import { randomInt } from 'node:crypto'
import type { SwapperConfig } from '../kvcache/block-swapper.ts'
import { KvTiers } from '../kvcache/kv-tiers.ts'
import type { Transfer, TransferOutcome } from '../kvcache/transfer.ts'
import type { BlockMemory } from '../executor/executor.ts'
import { BlockCarrier, type Carrier, type CarrierEvents } from '../tiers/block-carrier.ts'
import { openTiers, type OpenTiers, type TierEnvironment, type TierOptions } from '../tiers/open-tiers.ts'
import type { TierParts } from '../tiers/tier-place.ts'
import { CarrierThread } from './carrier-thread.ts'

export interface SwappingEnvironment extends Omit<TierEnvironment, 'bytesPerBlock' | 'now'> {
  /** What the disk tier sees of its file; tests break it here. Blocks are then carried by this thread. */
  readonly wrapFile?: TierParts['wrapFile']
}

export class Swapping {
  readonly config: SwapperConfig
  /** What the keys of blocks are made with. */
  readonly seed: number
  /** No step may begin while blocks are on their way. */
  readonly holdsSteps: boolean
  readonly #open: OpenTiers
  readonly #carrier: Carrier
  #outcomes: TransferOutcome[] = []
  #fault: unknown
  #onOutcome: () => void = () => undefined

  private constructor(open: OpenTiers, memory: BlockMemory, setup: CarrierSetting) {
    const books = new KvTiers(open.places, memory.bytesPerBlock)
    open.restore(books)
    this.#open = open
    this.config = { tiers: books, keptTier: open.keptTier }
    this.seed = open.seed ?? newSeed()
    this.holdsSteps = setup.isBlockwise
    this.#carrier = createCarrier(open, memory, setup, {
      onDone: (outcome) => {
        this.#outcomes.push(outcome)
        this.#onOutcome()
      },
      onFault: (error) => setup.log(`Writing KV to disk failed: ${messageOf(error)}; it shrinks.`),
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
    environment: SwappingEnvironment,
  ): Promise<Swapping | undefined> {
    const { bytesPerBlock } = memory
    const open = await openTiers(options, { ...environment, bytesPerBlock, now: Date.now() })
    const setup = { ...environment, isBlockwise: options.isBlockwise === true }
    return open.places.length === 0 ? undefined : new Swapping(open, memory, setup)
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

type CarrierSetting = Pick<SwappingEnvironment, 'log' | 'wrapFile'> & { readonly isBlockwise: boolean }

/** A thread of its own, where another thread can reach the pool's memory and nobody wants to see its files. */
function createCarrier(
  { places }: OpenTiers,
  memory: BlockMemory,
  { wrapFile, isBlockwise }: CarrierSetting,
  events: CarrierEvents,
): Carrier {
  const pieceBytes = isBlockwise ? memory.bytesPerBlock : undefined
  if (memory.place === undefined || wrapFile !== undefined)
    return new BlockCarrier({ memory, places, pieceBytes, wrapFile, ...events })
  return new CarrierThread({ pool: memory.place, places, pieceBytes }, events)
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))

/** Keys are this process's secret: nobody can make prompts that collide with somebody else's. */
export const newSeed = (): number => randomInt(2 ** 48 - 1)
