/**
 * An engine that says what a test wrote down: a token per sequence and step, a step per turn of the event loop. It
 * keeps the engine's contract (limits, stop tokens, cancelling) and no more.
 */
import type { ServingError } from '../../src/core/errors.ts'
import type { FinishReason, GenerationRequest } from '../../src/core/request.ts'
import type { TokenLogprobs } from '../../src/core/sampling-params.ts'
import type { Micros, RequestId } from '../../src/core/units.ts'
import type {
  EngineClient,
  EngineStatus,
  SequenceEvent,
  SequenceListener,
} from '../../src/engine/engine-client.ts'
import type { EngineInfo, EngineStats } from '../../src/engine/protocol.ts'
import { emptyKvStats } from '../../src/kvcache/kv-stats.ts'
import { systemClock } from '../../src/engine/system-clock.ts'

export interface ScriptedEngineOptions {
  /** The tokens of a request; an Error ends it as a failure of the engine would. */
  readonly script: (request: GenerationRequest) => Iterable<number | Error>
  readonly maxModelLen?: number
}

interface LiveSequence {
  readonly request: GenerationRequest
  readonly listener: SequenceListener
  readonly tokens: Iterator<number | Error>
  numTokens: number
  isCancelled: boolean
  firstTokenAt: Micros | undefined
}

type FinishedEvent = Extract<SequenceEvent, { kind: 'finished' }>

export class ScriptedEngine implements EngineClient {
  status: EngineStatus = { state: 'ready' }
  stats: EngineStats | undefined
  readonly requests: GenerationRequest[] = []
  readonly toolCalls: { readonly id: RequestId; readonly tool: string }[] = []
  /** Sequences that ended because somebody cancelled them. */
  numCancelled = 0
  readonly #options: ScriptedEngineOptions
  readonly #live = new Map<RequestId, LiveSequence>()
  readonly #stepListeners = new Set<(stats: EngineStats) => void>()
  readonly #crashListeners = new Set<(how: string) => void>()
  #waiting: (() => void)[] = []
  #step = 0
  #isScheduled = false
  #isPaused = false

  constructor(options: ScriptedEngineOptions) {
    this.#options = options
  }

  get numLive(): number {
    return this.#live.size
  }

  get numListeners(): number {
    return this.#stepListeners.size + this.#crashListeners.size
  }

  ready(): Promise<EngineInfo> {
    const maxModelLen = this.#options.maxModelLen ?? 1024
    return Promise.resolve({
      vocabSize: 258,
      maxModelLen,
      blockSize: 16,
      numBlocks: Math.ceil(maxModelLen / 16),
      kvBytesPerToken: 1,
      endTokenIds: [257],
      architecture: 'script',
      device: 'cpu',
      numThreads: 1,
      pid: process.pid,
    })
  }

  noteToolCall(id: RequestId, tool: string): void {
    this.toolCalls.push({ id, tool })
  }

  submit(request: GenerationRequest, listener: SequenceListener): void {
    this.requests.push(request)
    const tokens = this.#options.script(request)[Symbol.iterator]()
    this.#live.set(request.id, {
      request,
      listener,
      tokens,
      numTokens: 0,
      isCancelled: false,
      firstTokenAt: undefined,
    })
    this.#schedule()
  }

  cancel(id: RequestId): void {
    const sequence = this.#live.get(id)
    if (sequence !== undefined) sequence.isCancelled = true
  }

  /** It only ever closes. */
  failed(): Promise<ServingError> {
    return new Promise(() => undefined)
  }

  onStep(listener: (stats: EngineStats) => void): () => void {
    this.#stepListeners.add(listener)
    return () => this.#stepListeners.delete(listener)
  }

  onCrash(listener: (how: string) => void): () => void {
    this.#crashListeners.add(listener)
    return () => this.#crashListeners.delete(listener)
  }

  /** Tells that it died, and goes on. */
  crash(how: string): void {
    for (const listener of this.#crashListeners) listener(how)
  }

  /** Resolves when no sequence is live. */
  idle(): Promise<void> {
    if (this.#live.size === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
    })
  }

  /** No steps until `resume`. */
  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    this.#schedule()
  }

  close(): Promise<void> {
    this.status = { state: 'closed' }
    for (const sequence of this.#live.values()) this.#finish(sequence, 'error', 'The engine was closed.')
    return Promise.resolve()
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isPaused || this.#live.size === 0) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      if (this.#isPaused) return
      this.#runStep()
      this.#schedule()
    })
  }

  #runStep(): void {
    this.#step++
    for (const sequence of this.#live.values()) this.#advance(sequence)
    this.stats = {
      step: this.#step,
      numRunning: this.#live.size,
      numWaiting: 0,
      numBlocks: 64,
      numFreeBlocks: 64 - Math.min(64, this.#live.size),
      kv: emptyKvStats,
      numPreemptionsTotal: 3,
      numPrefillTokens: 0,
      numDecodeTokens: this.#live.size,
      phases: { schedule: 1, build: 2, compute: 3, sample: 4, emit: 5 },
    }
    for (const listener of this.#stepListeners) listener(this.stats)
  }

  #advance(sequence: LiveSequence): void {
    const { request, listener, tokens } = sequence
    if (sequence.isCancelled) return this.#finish(sequence, 'cancelled')
    const { value, done } = tokens.next()
    if (done === true) return this.#finish(sequence, 'stop')
    if (typeof value !== 'number') return this.#finish(sequence, 'error', value.message)
    sequence.firstTokenAt ??= systemClock.now()
    sequence.numTokens++
    const { topLogprobs } = request.sampling
    const logprobs = topLogprobs === undefined ? undefined : [describeToken(value, topLogprobs)]
    listener({ kind: 'tokens', tokenIds: [value], logprobs })
    if (request.stopTokenIds.includes(value)) this.#finish(sequence, 'stop')
    else if (sequence.numTokens >= request.maxTokens) this.#finish(sequence, 'length')
  }

  #finish({ request, listener, firstTokenAt }: LiveSequence, reason: FinishReason, message?: string): void {
    this.#live.delete(request.id)
    if (reason === 'cancelled') this.numCancelled++
    const event: FinishedEvent = {
      kind: 'finished',
      reason,
      error: message === undefined ? undefined : { code: 'ENGINE_FAILED', message },
      timings: {
        arrivedAt: request.arrivedAt,
        firstScheduledAt: request.arrivedAt,
        firstTokenAt,
        finishedAt: systemClock.now(),
        numCachedTokens: 2,
        numPreemptions: 0,
        intervals: [
          {
            kind: 'decode',
            from: request.arrivedAt,
            to: systemClock.now(),
            numSteps: 1,
            numTokens: 1,
            waitedFor: { places: 5 },
          },
        ],
      },
    }
    listener(event)
    if (this.#live.size > 0) return
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }
}

/** Made-up probabilities: the token itself first, its neighbours behind it. */
function describeToken(tokenId: number, numTop: number): TokenLogprobs {
  const top = Array.from({ length: numTop }, (_, rank) => ({
    tokenId: (tokenId + rank) % 256,
    logprob: -0.5 - rank,
  }))
  return { logprob: -0.5, top }
}
