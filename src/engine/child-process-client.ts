/**
 * The engine in a child process, and its continuation in another one when it dies: every unfinished request is sent
 * again with the tokens delivered so far, so that its stream sees a pause and not an error. Who is failed for a crash
 * is `quarantine.ts`'s to say, and when to give up `restart-policy.ts`'s.
 */
import type { ErrorCode, ServingError } from '../core/errors.ts'
import type { GenerationRequest } from '../core/request.ts'
import type { RequestId } from '../core/units.ts'
import { ClientState, type SequenceMessage } from './client-state.ts'
import { EngineChild } from './engine-child.ts'
import type { EngineClient, EngineStatus, SequenceListener } from './engine-client.ts'
import type { EngineOptions } from './engine-options.ts'
import { refuse } from './ledger.ts'
import type { EngineInfo, EngineStats, FromEngine } from './protocol.ts'
import { Quarantine } from './quarantine.ts'
import { RestartPolicy } from './restart-policy.ts'

export class ChildProcessClient implements EngineClient {
  readonly #options: EngineOptions
  readonly #state = new ClientState()
  #quarantine = new Quarantine()
  readonly #restarts = new RestartPolicy()
  #child: EngineChild | undefined
  #restartTimer: NodeJS.Timeout | undefined
  #hadSteps = false
  #wasEverReady = false
  /** What the engine said when it could not start. */
  #lastWords: string | undefined
  /** In the engine, and to be cancelled there. */
  readonly #cancelled = new Set<RequestId>()
  #unsentCancels: RequestId[] = []
  #isFlushPlanned = false

  constructor(options: EngineOptions) {
    this.#options = options
    this.#start()
  }

  get status(): EngineStatus {
    return this.#state.status
  }

  get stats(): EngineStats | undefined {
    return this.#state.stats
  }

  /** Requests that it keeps anything of. */
  get numUnfinished(): number {
    return Math.max(this.#state.ledger.size, this.#quarantine.size, this.#cancelled.size)
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
    if (end !== undefined) {
      refuse(request, listener, end)
      return
    }
    if (!ledger.add(request, listener)) return
    this.#quarantine.add(request.id)
    this.#planFlush()
  }

  cancel(id: RequestId): void {
    if (!this.#state.ledger.has(id) || this.#cancelled.has(id)) return
    this.#cancelled.add(id)
    this.#unsentCancels.push(id)
    this.#planFlush()
  }

  noteToolCall(id: RequestId, tool: string): void {
    if (this.status.state === 'ready') this.#child?.send({ type: 'tool-call', id, tool })
  }

  async close(): Promise<void> {
    this.#state.becomeClosed()
    this.#abandon()
    await this.#child?.close()
  }

  #start(): void {
    if (this.#state.end !== undefined) return
    const child = new EngineChild(this.#options, (message) => this.#receive(message))
    this.#child = child
    this.#hadSteps = false
    this.#lastWords = undefined
    void child.ended.then((how) => this.#died(how, performance.now() - child.startedAt))
  }

  #receive(message: FromEngine): void {
    if (this.#state.end !== undefined) return
    switch (message.type) {
      case 'loading':
        this.#state.becomeLoading(message.progress)
        return
      case 'ready':
        this.#wasEverReady = true
        this.#state.becomeReady(message.info)
        this.#flush()
        return
      case 'failed':
        this.#lastWords = message.message
        // What cannot be loaded the first time is a mistake, and not a mishap.
        if (!this.#wasEverReady) this.#giveUp(message.code, message.message)
        return
      default:
        this.#deliver(message)
    }
  }

  #deliver(message: SequenceMessage): void {
    if (message.type === 'started') for (const id of message.ids) this.#quarantine.noteStarted(id)
    else {
      if (message.type === 'step') this.#hadSteps = true
      for (const { id, tokenIds, finish } of message.updates) {
        if (finish === undefined) this.#quarantine.noteTokens(id, tokenIds.length)
        else this.#forget(id)
      }
    }
    this.#state.deliver(message)
    this.#flush()
  }

  #forget(id: RequestId): void {
    this.#quarantine.remove(id)
    this.#cancelled.delete(id)
  }

  #planFlush(): void {
    if (this.#isFlushPlanned) return
    this.#isFlushPlanned = true
    setImmediate(() => {
      this.#isFlushPlanned = false
      this.#flush()
    })
  }

  /** Everything since the last turn of the event loop, in one message each. */
  #flush(): void {
    const cancels = this.#unsentCancels.filter((id) => this.#cancelled.has(id))
    this.#unsentCancels = []
    const isInEngine = (id: RequestId): boolean => this.#quarantine.isInEngine(id)
    for (const id of cancels.filter((id) => !isInEngine(id))) this.#endCancelled(id)
    if (this.status.state !== 'ready') return
    const ids = cancels.filter(isInEngine)
    if (ids.length > 0) this.#child?.send({ type: 'cancel', ids })
    const requests = this.#state.ledger.continuationsOf(this.#quarantine.release())
    if (requests.length > 0) this.#child?.send({ type: 'submit', requests })
  }

  #endCancelled(id: RequestId): void {
    this.#forget(id)
    this.#state.ledger.end(id, undefined)
  }

  #died(how: string, lifeMillis: number): void {
    this.#child = undefined
    if (this.#state.end !== undefined) return
    this.#state.becomeRestarting(how)
    const { culprits, hadSuspects } = this.#quarantine.crash()
    for (const id of [...this.#cancelled]) this.#endCancelled(id)
    const message = `The engine died more than once over this request (${how}).`
    for (const id of culprits) this.#state.ledger.end(id, { code: 'ENGINE_FAILED', message })
    const delay = this.#restarts.delayAfter({ lifeMillis, hadSteps: this.#hadSteps, hadSuspects })
    if (delay === undefined)
      this.#giveUp('ENGINE_FAILED', `The engine does not start (${this.#lastWords ?? how}).`)
    else this.#restartTimer = setTimeout(() => this.#start(), delay)
  }

  #giveUp(code: ErrorCode, message: string): void {
    this.#state.becomeFailed(code, message)
    this.#abandon()
  }

  /** Nothing will run here again. */
  #abandon(): void {
    clearTimeout(this.#restartTimer)
    this.#quarantine = new Quarantine()
    this.#cancelled.clear()
  }
}
