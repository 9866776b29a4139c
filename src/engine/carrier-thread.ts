/**
 * A block carrier in a thread of its own: the thread that schedules sends a transfer, hears of its outcome, and neither
 * copies nor sums a byte. `carrier-worker.ts` is the other end.
 */
import type { Worker } from 'node:worker_threads'
import type { PoolPlace } from '../executor/pool-blocks.ts'
import type { Transfer, TransferOutcome } from '../kvcache/transfer.ts'
import type { Carrier, CarrierEvents } from '../tiers/block-carrier.ts'
import type { TierPlace } from '../tiers/tier-place.ts'
import { startThread } from './program.ts'

/** What the worker is started with. */
export interface CarrierSetup {
  readonly pool: PoolPlace
  readonly places: readonly TierPlace[]
  readonly pieceBytes: number | undefined
}

export type ToCarrier = Transfer | 'close'

export type FromCarrier =
  | { readonly type: 'done'; readonly outcome: TransferOutcome }
  | { readonly type: 'fault'; readonly error: unknown }
  | { readonly type: 'broken'; readonly error: unknown }

export class CarrierThread implements Carrier {
  readonly #worker: Worker
  readonly #ended: Promise<void>
  readonly #events: CarrierEvents
  #numUnderWay = 0
  #isClosed = false
  #whenSettled: (() => void)[] = []

  constructor(setup: CarrierSetup, events: CarrierEvents) {
    this.#events = events
    this.#worker = startThread('carrier-worker', setup)
    this.#worker.on('message', (message: FromCarrier) => this.#receive(message))
    this.#worker.on('error', (error) => events.onBroken(error))
    this.#ended = new Promise((resolve) => {
      this.#worker.once('exit', () => {
        if (!this.#isClosed) events.onBroken(new Error('the thread that carries blocks has ended'))
        this.#settle()
        resolve()
      })
    })
  }

  start(transfer: Transfer): void {
    this.#numUnderWay += 1
    this.#post(transfer)
  }

  async settled(): Promise<void> {
    if (this.#numUnderWay > 0) await new Promise<void>((resolve) => this.#whenSettled.push(resolve))
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#post('close')
    await this.#ended
  }

  #post(message: ToCarrier): void {
    this.#worker.postMessage(message)
  }

  #receive(message: FromCarrier): void {
    if (message.type === 'fault') return this.#events.onFault(message.error)
    this.#numUnderWay -= 1
    if (message.type === 'broken') this.#events.onBroken(message.error)
    else if (!this.#isClosed) this.#events.onDone(message.outcome)
    if (this.#numUnderWay === 0) this.#settle()
  }

  #settle(): void {
    const waiting = this.#whenSettled
    this.#whenSettled = []
    for (const resolve of waiting) resolve()
  }
}
