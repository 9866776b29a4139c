/** The engine in this very process: for tests, and where a child process is unwanted. A failed step ends it. */
import type { GenerationRequest } from '../core/request.ts'
import type { RequestId } from '../core/units.ts'
import type { EngineClient, EngineStatus, SequenceListener } from './engine-client.ts'
import { EngineHost } from './engine-host.ts'
import type { EngineOptions } from './engine-options.ts'
import { Ledger } from './ledger.ts'
import type { EngineInfo, EngineStats, FromEngine } from './protocol.ts'
import { systemClock } from './system-clock.ts'
import { timingsAtFailure } from './timings.ts'

export class InProcessClient implements EngineClient {
  status: EngineStatus = { state: 'loading', progress: 0 }
  stats: EngineStats | undefined
  readonly #ledger = new Ledger()
  readonly #stepListeners = new Set<(stats: EngineStats) => void>()
  readonly #host: Promise<EngineHost>

  constructor(options: EngineOptions) {
    this.#host = EngineHost.start(
      options,
      (message) => this.#receive(message),
      (error) => this.#fail(String(error)),
    ).then(
      (host) => {
        if (this.status.state === 'loading') this.status = { state: 'ready' }
        return host
      },
      (error: unknown) => {
        this.status = { state: 'failed', message: String(error) }
        throw error
      },
    )
    // Whoever awaits ready() hears of it; nobody else must.
    this.#host.catch(() => undefined)
  }

  async ready(): Promise<EngineInfo> {
    return (await this.#host).info
  }

  submit(request: GenerationRequest, listener: SequenceListener): void {
    const entry = this.#ledger.add(request, listener)
    this.#host.then(
      (host) => host.handle({ type: 'submit', requests: [request] }),
      (error: unknown) => this.#ledger.fail(entry, String(error), timingsAtFailure(request, systemClock)),
    )
  }

  cancel(id: RequestId): void {
    if (this.#ledger.find(id) === undefined) return
    this.#host.then(
      (host) => host.handle({ type: 'cancel', ids: [id] }),
      () => undefined,
    )
  }

  onStep(listener: (stats: EngineStats) => void): () => void {
    this.#stepListeners.add(listener)
    return () => this.#stepListeners.delete(listener)
  }

  /** @throws {InvariantError} when the engine's books disagree. */
  async checkInvariants(): Promise<void> {
    ;(await this.#host).checkInvariants()
  }

  async close(): Promise<void> {
    const host = await this.#host.catch(() => undefined)
    await host?.close()
    this.status = { state: 'closed' }
    this.#failAll('The engine was closed.')
  }

  #receive(message: FromEngine): void {
    if (message.type === 'loading') this.status = { state: 'loading', progress: message.progress }
    if (message.type !== 'step') return
    this.stats = message.stats
    this.#ledger.deliver(message.updates)
    for (const listener of this.#stepListeners) listener(message.stats)
  }

  #fail(message: string): void {
    this.status = { state: 'failed', message }
    this.#failAll(message)
  }

  #failAll(message: string): void {
    for (const entry of [...this.#ledger.entries]) {
      this.#ledger.fail(entry, message, timingsAtFailure(entry.request, systemClock))
    }
  }
}
