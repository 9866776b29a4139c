/**
 * Sends a workload to one server and notes what came when. Open loop: a request is sent at its own time, whatever has
 * become of others, and its latency counts from that time even when the client was late. A program's later turn is due
 * a gap after the turn before has ended. Closed loop: each of N users sends one program or single request after
 * another.
 */
import { setMaxListeners } from 'node:events'
import { AnswerReader } from './answer-reader.ts'
import { microsToSeconds } from '../core/units.ts'
import { turnKey } from '../workload/check-workload.ts'
import { groupPrograms } from '../workload/group-programs.ts'
import { synthesizePrompt } from '../workload/synthesize-prompt.ts'
import type { Workload, WorkloadRequest } from '../workload/workload.ts'
import { post } from './http-client.ts'
import { PromptHistory } from './prompt-history.ts'
import type { RequestRecord } from './request-record.ts'
import type { Target } from './targets/target.ts'
import { UserPool } from './user-pool.ts'
import { promptOf, unitsOf, vocabularySize, type Vocabulary } from './vocabulary.ts'

export type Loop = { readonly kind: 'open' } | { readonly kind: 'closed'; readonly numUsers: number }

export interface ReplayOptions {
  readonly target: Target
  readonly vocabulary: Vocabulary
  readonly workload: Workload
  /** Of the prompts' content. */
  readonly seed: number
  readonly loop: Loop
  /** Whether later turns carry the trace's made-up answers or what the server said, where it tells its tokens. */
  readonly history: 'trace' | 'actual'
  /** Milliseconds without a byte after which a request counts as failed. */
  readonly timeoutMs: number
  /** Ends the run; requests under way then leave no record. */
  readonly signal: AbortSignal
  /** Progress, for whoever watches. */
  readonly onSent?: () => void
  readonly onToken?: () => void
  readonly onRecord?: (record: RequestRecord) => void
}

/** Resolves when every request has ended or the run was ended. */
export async function replay(options: ReplayOptions): Promise<readonly RequestRecord[]> {
  return new Replay(options).run()
}

/** Longer timers fire at once. */
const longestTimerMs = 2 ** 31 - 1

class Replay {
  readonly #options: ReplayOptions
  readonly #history: PromptHistory
  readonly #startedAt = performance.now()
  readonly #records: RequestRecord[] = []
  /** Requests that become due when a turn ends. */
  readonly #waiting = new Map<string, number[]>()
  #numLeft = 0
  #finish: () => void = () => undefined

  constructor(options: ReplayOptions) {
    this.#options = options
    this.#history = new PromptHistory(options.history === 'actual')
    // Every request under way listens.
    setMaxListeners(0, options.signal)
  }

  async run(): Promise<readonly RequestRecord[]> {
    const { loop, signal } = this.#options
    if (!signal.aborted) await (loop.kind === 'open' ? this.#openLoop() : this.#closedLoop(loop.numUsers))
    return this.#records
  }

  async #openLoop(): Promise<void> {
    const { requests } = this.#options.workload
    const roots = requests.flatMap((request, index) => (this.#waitFor(request, index) ? [] : [index]))
    this.#numLeft = requests.length
    await new Promise<void>((resolve) => {
      this.#finish = resolve
      if (requests.length === 0) resolve()
      this.#options.signal.addEventListener('abort', () => resolve(), { once: true })
      this.#sendDue(roots, 0)
    })
  }

  /** Whether the request waits for a turn before it. */
  #waitFor({ program, turn, after }: WorkloadRequest, index: number): boolean {
    const key =
      program !== undefined && turn > 0 ? turnKey({ program, turn: turn - 1 }) : after && turnKey(after)
    if (key === undefined) return false
    const others = this.#waiting.get(key)
    if (others === undefined) this.#waiting.set(key, [index])
    else others.push(index)
    return true
  }

  #sendDue(roots: readonly number[], next: number): void {
    const { workload, signal } = this.#options
    let position = next
    for (; position < roots.length && !signal.aborted; position += 1) {
      const index = roots[position]!
      const dueAt = microsToSeconds(workload.requests[index]!.arrival) * 1000
      const wait = dueAt - this.#now()
      if (wait > 0.5) {
        setTimeout(() => this.#sendDue(roots, position), Math.min(wait, longestTimerMs))
        return
      }
      void this.#sendInOpenLoop(index, dueAt)
    }
  }

  async #sendInOpenLoop(index: number, dueAt: number): Promise<void> {
    const { workload, signal } = this.#options
    await this.#send(index, dueAt)
    const { program, turn } = workload.requests[index]!
    if (signal.aborted) return
    this.#numLeft -= 1
    if (program !== undefined) {
      for (const later of this.#waiting.get(turnKey({ program, turn })) ?? []) {
        const gapMs = microsToSeconds(workload.requests[later]!.gap) * 1000
        const laterDueAt = this.#now() + gapMs
        setTimeout(() => void (signal.aborted || this.#sendInOpenLoop(later, laterDueAt)), gapMs)
      }
    }
    if (this.#numLeft === 0) this.#finish()
  }

  async #closedLoop(numUsers: number): Promise<void> {
    const { requests } = this.#options.workload
    const programs = groupPrograms(requests)
    const calledBy = groupBy(programs, (turns) => {
      const { after } = requests[turns[0]!]!
      return after === undefined ? '' : turnKey(after)
    })
    const pool = new UserPool(numUsers, calledBy.get('') ?? [], (turns) =>
      this.#sendTurns(turns, (key) => pool.addNext(calledBy.get(key) ?? [])),
    )
    await pool.run()
  }

  /** `ended`: told the key of each turn. */
  async #sendTurns(turns: readonly number[], ended: (key: string) => void): Promise<void> {
    const { workload, signal } = this.#options
    for (const index of turns) {
      const { gap, program, turn } = workload.requests[index]!
      const gapMs = microsToSeconds(gap) * 1000
      if (gapMs > 0) await pause(gapMs, signal)
      if (signal.aborted) return
      await this.#send(index, this.#now())
      if (program !== undefined) ended(turnKey({ program, turn }))
    }
  }

  async #send(index: number, intendedAt: number): Promise<void> {
    const { target, workload, signal } = this.#options
    const request = workload.requests[index]!
    const units = this.#unitsOf(request)
    const reader = new AnswerReader(target.adapter)
    const sentAt = this.#now()
    this.#options.onSent?.()
    try {
      await this.#post(request, units, reader)
      reader.end()
    } catch (error) {
      reader.error ??= error instanceof Error ? error.message : String(error)
    }
    if (signal.aborted) return
    this.#history.ended(request, units, reader.tokenIds)
    const record = this.#recordOf({ index, intendedAt, sentAt, reader })
    this.#records.push(record)
    this.#options.onRecord?.(record)
  }

  #post(request: WorkloadRequest, units: readonly number[], reader: AnswerReader): Promise<void> {
    const { target, vocabulary, timeoutMs, signal, onToken } = this.#options
    const { adapter, endpoint, model } = target
    const { tenant, program, serviceClass, deadline, numOutputTokens } = request
    const prompt = promptOf(vocabulary, units)
    const wantsTokenIds = this.#options.history === 'actual'
    const ask = { model, prompt, numOutputTokens, tenant, program, serviceClass, deadline, wantsTokenIds }
    return post(endpoint, {
      path: adapter.path,
      headers: adapter.headers(ask),
      body: adapter.body(ask),
      timeoutMs,
      signal,
      onBytes: (bytes, at) => {
        const before = reader.tokenTimes.length
        reader.feed(bytes, at - this.#startedAt)
        for (let count = before; count < reader.tokenTimes.length; count += 1) onToken?.()
      },
    })
  }

  #unitsOf(request: WorkloadRequest): readonly number[] {
    const { workload, vocabulary, seed } = this.#options
    const range = { first: 0, count: vocabularySize(vocabulary) }
    const indices = synthesizePrompt({ seed, range, blockSize: workload.blockSize }, request)
    return this.#history.extend(request, unitsOf(vocabulary, indices))
  }

  #recordOf(seen: {
    readonly index: number
    readonly intendedAt: number
    readonly sentAt: number
    readonly reader: AnswerReader
  }): RequestRecord {
    const { index, intendedAt, sentAt, reader } = seen
    const { tenant, program, turn, numPromptTokens, numOutputTokens } =
      this.#options.workload.requests[index]!
    const { tokenTimes } = reader
    return {
      index,
      tenant,
      program,
      turn,
      intendedAt,
      sentAt,
      firstTokenAt: tokenTimes[0],
      endedAt: this.#now(),
      maxGap: longestGap(tokenTimes),
      promptTokens: reader.promptTokens ?? numPromptTokens,
      cachedTokens: reader.cachedTokens,
      outputTokens: reader.outputTokens ?? tokenTimes.length,
      error: reader.error,
      tokenTimes,
      wanted: { promptTokens: numPromptTokens, outputTokens: numOutputTokens },
    }
  }

  #now(): number {
    return performance.now() - this.#startedAt
  }
}

function groupBy<Item>(items: readonly Item[], keyOf: (item: Item) => string): Map<string, Item[]> {
  const groups = new Map<string, Item[]>()
  for (const item of items) {
    const key = keyOf(item)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [item])
    else group.push(item)
  }
  return groups
}

function longestGap(times: readonly number[]): number | undefined {
  let longest: number | undefined
  for (let index = 1; index < times.length; index += 1) {
    longest = Math.max(longest ?? 0, times[index]! - times[index - 1]!)
  }
  return longest
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const stop = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', stop)
      resolve()
    }
    const timer = setTimeout(stop, ms)
    signal.addEventListener('abort', stop)
  })
}
