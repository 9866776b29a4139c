/**
 * One answer on its way from tokens to text: submits the sequence, detokenises, watches for stop strings, and cancels
 * when nobody wants more. It does not know in which form the text is sent.
 */
import { randomUUID } from 'node:crypto'
import { ServingError } from '../core/errors.ts'
import type { GrammarSpec } from '../core/grammar-spec.ts'
import type { CacheTerms, Pooling, Race, ServiceTerms } from '../core/request.ts'
import type { SamplingParams, TokenLogprobs } from '../core/sampling-params.ts'
import { microsToSeconds, micros, toRequestId, type Micros, type RequestId } from '../core/units.ts'
import type { SequenceEvent, SequenceTimings } from '../engine/engine-client.ts'
import type { EngineInfo } from '../engine/protocol.ts'
import { IncrementalDetokenizer } from '../text/incremental-detokenizer.ts'
import type { OutputEvent, OutputParser, ParsedEvent } from '../text/output/events.ts'
import { createOutputParser } from '../text/output/output-parser.ts'
import { StopMatcher } from '../text/stop-matcher.ts'
import type { Ticket } from './admission/admission.ts'
import type { ApiContext } from './context.ts'
import type { ChoiceRecord } from './timeline-store.ts'
import type { Recording } from './workload-recorder.ts'

export interface GenerationOptions {
  readonly promptTokens: readonly number[]
  readonly sampling: SamplingParams
  readonly maxTokens: number
  /** What of it the client asked for; undefined: all the room there is. */
  readonly askedTokens: number | undefined
  readonly stop: readonly string[]
  readonly stopTokenIds: readonly number[]
  readonly ignoreEos: boolean
  /** The answer tells the ids of its tokens. */
  readonly tellsTokens?: boolean | undefined
  readonly terms: ServiceTerms
  /** What all of its text must look like. */
  readonly grammar?: GrammarSpec | undefined
  readonly race?: Race | undefined
  readonly cache: CacheTerms
  readonly arrivedAt: Micros
  /** The prompt ends with a tool's result. */
  readonly followsTool?: boolean
  /** Undefined: all text is content. */
  readonly output?: OutputTerms | undefined
  /** It ends with a vector, and says nothing. */
  readonly pooling?: Pooling | undefined
}

/** How the text of an answer is read. */
export interface OutputTerms {
  createParser(): OutputParser
  /** Special tokens that the parser must see. */
  readonly shownTokenIds: ReadonlySet<number>
  /** The answer ends with its first call. */
  readonly isOneCall: boolean
}

/** A token with what is known of it, for answers with logprobs or token ids. */
export interface TokenDetail {
  readonly tokenId: number
  /** Undefined when nobody asked. */
  readonly logprobs: TokenLogprobs | undefined
}

export interface GenerationResult {
  /** `tool_calls`: it ended by itself, and calls tools. */
  readonly reason: 'stop' | 'length' | 'tool_calls'
  readonly numOutputTokens: number
  readonly timings: SequenceTimings
  /** The stop string that ended it, if one did. */
  readonly stopString?: string | undefined
  /** What it ends with in place of text, if it has a pooling. */
  readonly vector?: Float32Array | undefined
}

export interface GenerationSink {
  /** There may be no events while a character, a tag or a possible stop string is incomplete. */
  onOutput(events: readonly OutputEvent[], details: readonly TokenDetail[]): void
  onFinished(result: GenerationResult): void
  onError(error: ServingError): void
  /** The sequence ended in the engine, whether or not anybody still wants it. Comes before the others. */
  onEnd(record: ChoiceRecord): void
}

/**
 * How many tokens may be generated behind a prompt, which is at least one.
 * @throws {ServingError} PROMPT_TOO_LONG when none fits, INVALID_REQUEST for a prompt that is empty or not of this model.
 */
export function roomBehind(info: EngineInfo, promptTokens: readonly number[], param: string): number {
  if (promptTokens.length === 0) throw new ServingError('INVALID_REQUEST', 'The prompt is empty.', { param })
  checkTokens(info, promptTokens, param)
  const limit = Math.min(info.maxModelLen, info.numBlocks * info.blockSize)
  const room = limit - promptTokens.length
  if (room > 0) return room
  throw new ServingError(
    'PROMPT_TOO_LONG',
    `The prompt has ${promptTokens.length} tokens; at most ${limit - 1} fit beside one generated token. ` +
      `It is ${1 - room} tokens too long.`,
    { param },
  )
}

/** @throws {ServingError} INVALID_REQUEST naming the first token outside of the vocabulary. */
export function checkTokens(
  { vocabSize }: Pick<EngineInfo, 'vocabSize'>,
  tokenIds: Iterable<number>,
  param: string,
): void {
  for (const id of tokenIds) {
    if (id < vocabSize) continue
    const message = `Token ${id} is not in the vocabulary of ${vocabSize}.`
    throw new ServingError('INVALID_REQUEST', message, { param })
  }
}

export class Generation {
  readonly #context: ApiContext
  readonly #ticket: Ticket
  readonly #sink: GenerationSink
  readonly #id: RequestId
  readonly #options: GenerationOptions
  readonly #detokenizer: IncrementalDetokenizer
  readonly #stops: StopMatcher
  readonly #parser: OutputParser
  /** Tokens that end the answer and are not part of its text. */
  readonly #stopTokenIds: ReadonlySet<number>
  #end: () => void = () => undefined
  #recording: Recording | undefined
  #numOutputTokens = 0
  #lastTokenAt: Micros
  #numCalls = 0
  #isStopped = false
  /** All the calls that are wanted. */
  #hasCalled = false
  #isAborted = false
  #isStarted = false

  /** The ticket is given back when the sequence ends. */
  constructor(context: ApiContext, options: GenerationOptions, ticket: Ticket, sink: GenerationSink) {
    this.#context = context
    this.#ticket = ticket
    this.#sink = sink
    this.#options = options
    this.#id = toRequestId(randomUUID())
    this.#detokenizer = new IncrementalDetokenizer(context.tokenizer, {
      special: options.output?.shownTokenIds,
    })
    this.#parser =
      options.output?.createParser() ?? createOutputParser({ reasoning: undefined, calls: undefined })
    this.#stops = new StopMatcher(options.stop)
    const endTokenIds = options.ignoreEos ? [] : context.tokenizer.endTokenIds
    this.#stopTokenIds = new Set([...options.stopTokenIds, ...endTokenIds])
    this.#lastTokenAt = options.arrivedAt
  }

  start(): void {
    if (this.#isAborted) return
    this.#isStarted = true
    const { promptTokens, sampling, ignoreEos, terms, arrivedAt, maxTokens } = this.#options
    this.#end = this.#context.active.start()
    this.#recording = this.#context.recorder?.begin({
      ...terms,
      promptTokens,
      arrivedAt,
      followsTool: this.#options.followsTool ?? false,
    })
    this.#context.engine.submit(
      {
        id: this.#id,
        promptTokens,
        outputTokens: [],
        sampling,
        maxTokens,
        stopTokenIds: [...this.#stopTokenIds],
        ignoreEos,
        ...terms,
        grammar: this.#options.grammar,
        race: this.#options.race,
        pooling: this.#options.pooling,
        ...this.#options.cache,
        arrivedAt,
      },
      (event) => this.#receive(event),
    )
  }

  /** Nobody reads any more: no further callbacks, and the sequence ends at the next step. */
  abort(): void {
    if (this.#isAborted) return
    this.#isAborted = true
    if (this.#isStarted) this.#context.engine.cancel(this.#id)
    else this.#ticket.end(0, this.#context.clock.now())
  }

  #receive(event: SequenceEvent): void {
    if (event.kind === 'finished') this.#finish(event)
    else if (!this.#isStopped && !this.#isAborted) this.#append(event.tokenIds, event.logprobs)
  }

  #append(tokenIds: readonly number[], logprobs: readonly TokenLogprobs[] | undefined): void {
    const { metrics, clock } = this.#context
    const now = clock.now()
    if (this.#numOutputTokens === 0) this.#ticket.noteFirstToken(now)
    let text = ''
    const details: TokenDetail[] = []
    for (const [index, tokenId] of tokenIds.entries()) {
      const latency = microsToSeconds(micros(now - this.#lastTokenAt))
      if (this.#numOutputTokens++ === 0) metrics.timeToFirstToken.observe(latency)
      else metrics.interTokenLatency.observe(latency)
      this.#lastTokenAt = now
      const piece = this.#stopTokenIds.has(tokenId) ? '' : this.#detokenizer.push(tokenId)
      const found = this.#stops.push(piece)
      text += found.text
      const known = logprobs?.[index]
      if (known !== undefined || this.#options.tellsTokens === true)
        details.push({ tokenId, logprobs: known })
      if (!found.stopped) continue
      this.#stop()
      break
    }
    metrics.generationTokens.inc(tokenIds.length)
    this.#recording?.append(tokenIds)
    const events = this.#read(this.#parser.feed(text))
    if (events.length > 0 || details.length > 0) this.#sink.onOutput(events, details)
  }

  /** Nothing of what comes is wanted any more. */
  #stop(): void {
    this.#isStopped = true
    this.#context.engine.cancel(this.#id)
  }

  /** What of it is told; the engine is told which tools are called. */
  #read(parsed: readonly ParsedEvent[]): readonly OutputEvent[] {
    const events: OutputEvent[] = []
    for (const event of parsed) {
      if (event.kind !== 'markup') events.push(event)
      if (event.kind === 'call-started') this.#context.engine.noteToolCall(this.#id, event.name)
      if (event.kind !== 'call-ended') continue
      this.#numCalls++
      if (this.#options.output?.isOneCall !== true) continue
      this.#hasCalled = true
      if (!this.#isStopped) this.#stop()
      break
    }
    return events
  }

  #finish({ reason, error, timings, vector }: Extract<SequenceEvent, { kind: 'finished' }>): void {
    this.#end()
    this.#recording?.end(timings.finishedAt)
    this.#ticket.end(this.#numOutputTokens, this.#context.clock.now())
    const finished = this.#isStopped ? 'stop' : reason
    this.#measure(finished, timings)
    this.#sink.onEnd({
      reason: finished,
      numPromptTokens: this.#options.promptTokens.length,
      numOutputTokens: this.#numOutputTokens,
      timings,
    })
    if (this.#isAborted) return
    if (finished === 'stop' || finished === 'length') {
      const events = this.#readEnd()
      if (events.length > 0) this.#sink.onOutput(events, [])
      const reason = finished === 'stop' && this.#numCalls > 0 ? 'tool_calls' : finished
      const stopString = this.#stops.matched
      this.#sink.onFinished({ reason, numOutputTokens: this.#numOutputTokens, timings, stopString, vector })
      return
    }
    const message = error?.message ?? 'The request was cancelled.'
    this.#sink.onError(new ServingError(error?.code ?? 'ABORTED', message))
  }

  /** What was held back until the end. */
  #readEnd(): readonly OutputEvent[] {
    if (this.#hasCalled) return []
    let text = ''
    if (!this.#isStopped) {
      const tail = this.#stops.push(this.#detokenizer.flush())
      text = tail.text + (tail.stopped ? '' : this.#stops.flush())
    }
    return this.#read([...this.#parser.feed(text), ...this.#parser.finish()])
  }

  #measure(reason: string, timings: SequenceTimings): void {
    const { metrics } = this.#context
    const since = (from: Micros, to: Micros) => microsToSeconds(micros(to - from))
    metrics.requestSuccess.inc({ finished_reason: reason === 'cancelled' ? 'abort' : reason })
    metrics.promptTokens.inc(this.#options.promptTokens.length)
    metrics.requestLatency.observe(since(timings.arrivedAt, timings.finishedAt))
    if (timings.firstScheduledAt !== undefined) {
      metrics.queueTime.observe(since(timings.arrivedAt, timings.firstScheduledAt))
    }
  }
}
