/** What every carrier of an engine shows and keeps: status, readiness, statistics, and who is unfinished. */
import { ServingError, type ErrorCode } from '../core/errors.ts'
import { withCountersOf } from '../kvcache/kv-stats.ts'
import { withSwapsOf } from '../kvcache/swap-stats.ts'
import type { EngineStatus, SequenceError } from './engine-client.ts'
import { Ledger } from './ledger.ts'
import type { EngineInfo, EngineStats, FromEngine } from './protocol.ts'

/** Messages about sequences, as opposed to those about the engine. */
export type SequenceMessage = Extract<FromEngine, { type: 'started' | 'step' | 'idle' }>

const closed = 'The engine was closed.'

type Before = Pick<EngineStats, 'step' | 'numPreemptionsTotal' | 'kv' | 'swap'>

export class ClientState {
  readonly ledger = new Ledger()
  status: EngineStatus = { state: 'loading', progress: 0 }
  stats: EngineStats | undefined
  #ready = new Readiness()
  /** Resolves when the state is `failed`. */
  readonly failed: Promise<ServingError>
  #announceFailure: (error: ServingError) => void = () => undefined
  #failure: ServingError | undefined
  readonly #stepListeners = new Set<(stats: EngineStats) => void>()
  readonly #crashListeners = new Set<(how: string) => void>()
  /** Counters of the engines before this one; undefined: it is the first. */
  #before: Before | undefined

  constructor() {
    this.failed = new Promise((resolve) => {
      this.#announceFailure = resolve
    })
  }

  /** Why nothing will ever run here again; undefined while something may. */
  get end(): SequenceError | undefined {
    if (this.status.state === 'closed') return { code: 'ENGINE_FAILED', message: closed }
    if (this.status.state === 'failed') return { code: 'ENGINE_FAILED', message: this.status.message }
    return undefined
  }

  ready(): Promise<EngineInfo> {
    return this.#failure === undefined ? this.#ready.promise : Promise.reject(this.#failure)
  }

  onStep(listener: (stats: EngineStats) => void): () => void {
    this.#stepListeners.add(listener)
    return () => this.#stepListeners.delete(listener)
  }

  onCrash(listener: (how: string) => void): () => void {
    this.#crashListeners.add(listener)
    return () => this.#crashListeners.delete(listener)
  }

  becomeLoading(progress: number): void {
    const { state } = this.status
    if (state === 'loading' || state === 'restarting') this.status = { state, progress }
  }

  becomeReady(info: EngineInfo): void {
    this.status = { state: 'ready' }
    this.#ready.resolve(info)
  }

  /** The engine died; another one will go on. */
  becomeRestarting(how: string): void {
    for (const listener of this.#crashListeners) listener(how)
    // Whoever waits already waits for the first engine that gets ready.
    if (this.status.state === 'ready') this.#ready = new Readiness()
    if (this.status.state !== 'loading') this.status = { state: 'restarting', progress: 0 }
    if (this.stats === undefined) return
    const { step, numPreemptionsTotal, kv, swap } = this.stats
    this.#before = { step, numPreemptionsTotal, kv, swap }
  }

  /** For good: whoever is unfinished fails. */
  becomeFailed(code: ErrorCode, message: string): void {
    if (this.end !== undefined) return
    this.status = { state: 'failed', message }
    this.#announceFailure(this.#end(code, message))
  }

  becomeClosed(): void {
    this.status = { state: 'closed' }
    this.#end('ENGINE_FAILED', closed)
  }

  deliver(message: SequenceMessage): void {
    if (message.type === 'started') {
      this.ledger.noteStarted(message.ids, message.at)
      return
    }
    this.stats = this.#before === undefined ? message.stats : added(message.stats, this.#before)
    this.ledger.deliver(message.updates)
    if (message.type === 'idle') return
    for (const listener of this.#stepListeners) listener(this.stats)
  }

  #end(code: ErrorCode, message: string): ServingError {
    const failure = new ServingError(code, message)
    this.#failure = failure
    this.#ready.reject(failure)
    this.ledger.endAll({ code: 'ENGINE_FAILED', message })
    return failure
  }
}

function added(stats: EngineStats, before: Before): EngineStats {
  return {
    ...stats,
    step: before.step + stats.step,
    numPreemptionsTotal: before.numPreemptionsTotal + stats.numPreemptionsTotal,
    kv: withCountersOf(stats.kv, before.kv),
    swap: stats.swap && withSwapsOf(stats.swap, before.swap),
  }
}

/** A promise with its ends in hand. Nobody has to wait for it. */
class Readiness {
  readonly promise: Promise<EngineInfo>
  resolve: (info: EngineInfo) => void = () => undefined
  reject: (error: ServingError) => void = () => undefined

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
    this.promise.catch(() => undefined)
  }
}
