/** The engine in this very process: for tests, and where a child process is unwanted. A failed step ends it for good. */
import { ServingError } from '../core/errors.ts'
import type { GenerationRequest } from '../core/request.ts'
import type { RequestId } from '../core/units.ts'
import { ClientState } from './client-state.ts'
import type { EngineClient, EngineStatus, SequenceListener } from './engine-client.ts'
import { loadEngine, type EngineHost } from './engine-host.ts'
import type { EngineOptions } from './engine-options.ts'
import { refuse } from './ledger.ts'
import type { EngineInfo, EngineStats, FromEngine } from './protocol.ts'
import type { SwappingEnvironment } from './swapping.ts'

export class InProcessClient implements EngineClient {
  readonly #state = new ClientState()
  #host: EngineHost | undefined
  /** Ends when the engine has: closed, failed, or never loaded. */
  readonly #life: Promise<void>
  #waiting: GenerationRequest[] = []

  /** `wrapFile`: what a disk tier sees of its file; tests break it here. */
  constructor(options: EngineOptions, wrapFile?: SwappingEnvironment['wrapFile']) {
    this.#life = this.#live(options, wrapFile)
  }

  get status(): EngineStatus {
    return this.#state.status
  }

  get stats(): EngineStats | undefined {
    return this.#state.stats
  }

  ready(): Promise<EngineInfo> {
    return this.#state.ready()
  }

  failed(): Promise<ServingError> {
    return this.#state.failed
  }

  onStep(listener: (stats: EngineStats) => void): () => void {
    return this.#state.onStep(listener)
  }

  onCrash(listener: (how: string) => void): () => void {
    return this.#state.onCrash(listener)
  }

  submit(request: GenerationRequest, listener: SequenceListener): void {
    const { end, ledger } = this.#state
    if (end !== undefined) refuse(request, listener, end)
    else if (ledger.add(request, listener)) this.#send(request)
  }

  cancel(id: RequestId): void {
    if (!this.#state.ledger.has(id)) return
    if (this.#host !== undefined) {
      this.#host.loop.cancel([id])
      return
    }
    this.#waiting = this.#waiting.filter((request) => request.id !== id)
    queueMicrotask(() => this.#state.ledger.end(id, undefined))
  }

  noteToolCall(id: RequestId, tool: string): void {
    this.#host?.loop.noteToolCall(id, tool)
  }

  /** @throws {InvariantError} when the engine's books disagree. */
  async checkInvariants(): Promise<void> {
    await this.ready()
    this.#host?.loop.checkInvariants()
  }

  async close(): Promise<void> {
    this.#state.becomeClosed()
    this.#host?.loop.close()
    await this.#life
  }

  #send(request: GenerationRequest): void {
    if (this.#host === undefined) this.#waiting.push(request)
    else this.#host.loop.submit([request])
  }

  async #live(options: EngineOptions, wrapFile: SwappingEnvironment['wrapFile']): Promise<void> {
    try {
      const host = await loadEngine(options, (message) => this.#receive(message), wrapFile)
      this.#host = host
      if (this.#state.end !== undefined) host.loop.close()
      else this.#state.becomeReady(host.info)
      host.loop.submit(this.#waiting)
      this.#waiting = []
      await host.run()
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      this.#state.becomeFailed(error instanceof ServingError ? error.code : 'ENGINE_FAILED', message)
    }
  }

  #receive(message: FromEngine): void {
    if (message.type === 'loading') this.#state.becomeLoading(message.progress)
    else if (message.type !== 'ready' && message.type !== 'failed') this.#state.deliver(message)
  }
}
