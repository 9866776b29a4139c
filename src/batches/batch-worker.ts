/**
 * Runs batches: the oldest of each owner, their lines in the order of `orderBatch`, as many at a time as `LineLimit`
 * says. It knows no HTTP: how a line gets its answer is `Dispatch`. Everything that matters is in the store, so that
 * a new worker goes on where one that was killed has stopped; a line in flight then runs again.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { LineLimit } from '../scheduler/batch/line-limit.ts'
import { isFinal, type Batch } from '../storage/batch-store.ts'
import type { Store } from '../storage/store.ts'
import { parseLine } from './batch-line.ts'
import type { Dispatch, LineAnswer, ServerLoad } from './dispatch.ts'
import { finishBatch, recordMissing, type BatchEnd } from './finish-batch.ts'
import { prepareBatch, type BatchLimits, type PreparedBatch } from './prepare-batch.ts'
import { answerResult } from './result-line.ts'
import { RunningBatch } from './running-batch.ts'

export interface BatchWorkerOptions {
  readonly store: Store
  readonly dispatch: Dispatch
  readonly load: () => ServerLoad
  readonly limits: BatchLimits
  /** Lines in flight at one time, at most, over all batches. */
  readonly mostInFlight: number
  /** Seconds since 1970. */
  readonly now: () => number
  /** Something failed that no batch can be told of, such as a full disk; it is tried again. */
  readonly onTrouble: (error: unknown) => void
}

/** Owners whose batches run side by side. */
const mostBatches = 8
/** Results wait so long for others, to be stored together. */
const flushMillis = 100
const retryMillis = 500
const troubleMillis = 5000
/** A server error is an answer only when it comes so often. */
const mostAttempts = 3
/** With so many results that could not be stored, no further line is started. */
const mostPending = 1000

export class BatchWorker {
  readonly #options: BatchWorkerOptions
  readonly #limit: LineLimit
  readonly #running = new Map<string, RunningBatch>()
  /** Batches that a loop of `#live` takes care of. */
  readonly #live = new Map<string, Promise<void>>()
  readonly #stopping = new AbortController()
  #onChange: (() => void)[] = []
  #numInFlight = 0
  #pausedUntil = 0
  #flushTimer: NodeJS.Timeout | undefined

  constructor(options: BatchWorkerOptions) {
    this.#options = options
    this.#limit = new LineLimit(options.mostInFlight)
  }

  /** There may be a batch to start, or one to end. */
  wake(): void {
    if (this.#stopping.signal.aborted) return
    const owners = new Set<string>()
    for (const batch of this.#options.store.batches.unfinished()) {
      const mayRun = !owners.has(batch.owner) && this.#live.size < mostBatches
      owners.add(batch.owner)
      if (!mayRun && batch.status !== 'cancelling') continue
      if (this.#live.has(batch.id)) continue
      const live = this.#take(batch.id).finally(() => {
        this.#live.delete(batch.id)
        this.#changed()
        this.wake()
      })
      this.#live.set(batch.id, live)
    }
    this.#changed()
  }

  /** Lines in flight are given up; those that have an answer keep it. */
  cancel(batch: Batch): Batch {
    if (isFinal(batch.status) || batch.status === 'cancelling') return batch
    const cancelling = this.#options.store.batches.enter(batch.id, 'cancelling', this.#options.now())
    this.wake()
    return cancelling
  }

  /** Nothing runs any more, and what has an answer is stored. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    for (const running of this.#running.values()) running.abort.abort()
    this.#changed()
    await Promise.all(this.#live.values())
  }

  /** Until no batch is left to run. */
  async idle(): Promise<void> {
    while (this.#live.size > 0) await Promise.all(this.#live.values())
  }

  /** Does all there is to do for one batch, again and again while the disk is full. */
  async #take(id: string): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      try {
        return await this.#run(id)
      } catch (error) {
        this.#options.onTrouble(error)
        await sleep(troubleMillis, undefined, { signal: this.#stopping.signal }).catch(() => undefined)
      }
    }
  }

  async #run(id: string): Promise<void> {
    const { store, now } = this.#options
    const prepared = await this.#prepare(store.batches.find(id, '')!)
    if (prepared === undefined) return
    let batch = store.batches.find(id, '')!
    if (batch.status === 'validating') {
      batch = store.batches.enter(id, 'in_progress', now(), { total: prepared.places.length })
    }
    const running = await RunningBatch.open(batch, store.batches, store.files.path(batch.inputFile), prepared)
    this.#running.set(id, running)
    try {
      const end = await this.#untilEnd(running)
      running.abort.abort()
      while (running.numInFlight > 0) await this.#change()
      running.flush()
      if (end === undefined) return
      await recordMissing(running, end)
      await finishBatch(store, batch, end, now)
    } finally {
      this.#running.delete(id)
      running.abort.abort()
      await running.close()
    }
  }

  /** Undefined: the input is not what a batch can be made of, and the batch has failed. */
  async #prepare({ id, inputFile, endpoint, status }: Batch): Promise<PreparedBatch | undefined> {
    const { store, limits, now } = this.#options
    const result = await prepareBatch(store.files.path(inputFile), endpoint, limits).catch(
      (error: unknown) => {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
        const message = `The input file ${inputFile} is gone.`
        return { errors: [{ code: 'input_file_missing', message, line: null, param: 'input_file_id' }] }
      },
    )
    if ('places' in result) return result
    store.batches.enter(id, status === 'cancelling' ? 'cancelled' : 'failed', now(), {
      errors: result.errors,
    })
    return undefined
  }

  /** Starts lines until all have a result, the batch is cancelled, or its time is over; undefined: the worker stops. */
  async #untilEnd(running: RunningBatch): Promise<BatchEnd | undefined> {
    const { store, now } = this.#options
    const { id, expiresAt } = running.batch
    const wakeUp = setTimeout(
      () => this.#changed(),
      Math.min(2 ** 31 - 1, Math.max(0, expiresAt - now()) * 1000),
    )
    try {
      while (true) {
        if (this.#stopping.signal.aborted) return undefined
        if (running.isComplete) return 'completed'
        if (store.batches.find(id, '')?.status === 'cancelling') return 'cancelled'
        if (now() >= expiresAt) return 'expired'
        this.#startLines()
        await this.#change()
      }
    } finally {
      clearTimeout(wakeUp)
    }
  }

  #startLines(): void {
    while (this.#numInFlight < this.#limit.value && Date.now() >= this.#pausedUntil) {
      const next = this.#nextLine()
      if (next === undefined) return
      void this.#runLine(...next)
    }
  }

  /** Of the batch with the fewest lines in flight. */
  #nextLine(): [RunningBatch, number] | undefined {
    const candidates = [...this.#running.values()]
      .filter(({ abort, numPending }) => !abort.signal.aborted && numPending < mostPending)
      .toSorted((a, b) => a.numInFlight - b.numInFlight)
    for (const running of candidates) {
      const line = running.take()
      if (line !== undefined) return [running, line]
    }
    return undefined
  }

  async #runLine(running: RunningBatch, line: number): Promise<void> {
    running.numInFlight++
    this.#numInFlight++
    try {
      const parsed = parseLine(await running.read(line), running.batch.endpoint)
      if ('code' in parsed) throw new Error(`line ${line} of ${running.batch.id} has changed`)
      const answer = await this.#answer(running, parsed.body)
      if (answer !== undefined) {
        running.record(answerResult(line, parsed.customId, answer))
        this.#limit.update(this.#options.load())
        this.#flushSoon()
      } else running.putBack(line)
    } catch (error) {
      running.putBack(line)
      if (!running.abort.signal.aborted) {
        this.#options.onTrouble(error)
        this.#pause(troubleMillis)
      }
    } finally {
      running.numInFlight--
      this.#numInFlight--
      this.#changed()
    }
  }

  /** Undefined: not now. */
  async #answer(
    { batch, abort }: RunningBatch,
    fields: Readonly<Record<string, unknown>>,
  ): Promise<LineAnswer | undefined> {
    const { endpoint, tenant, weight } = batch
    // All lines are of the class for batches.
    const body = { ...fields, service_tier: undefined }
    for (let attempt = 1; ; attempt++) {
      const answer = await this.#options.dispatch({ endpoint, body, tenant, weight, signal: abort.signal })
      if (answer.status === 429 || answer.status === 503) {
        this.#limit.refused()
        this.#pause(retryMillis)
        return undefined
      }
      if (answer.status < 500 || attempt === mostAttempts) return answer
      await sleep(retryMillis * 2 ** attempt, undefined, { signal: abort.signal })
    }
  }

  /** No line starts for a while. */
  #pause(millis: number): void {
    this.#pausedUntil = Date.now() + millis
    setTimeout(() => this.#changed(), millis + 1).unref()
  }

  #flushSoon(): void {
    if (this.#flushTimer !== undefined) return
    this.#flushTimer = setTimeout(() => {
      this.#flushTimer = undefined
      try {
        for (const running of this.#running.values()) running.flush()
      } catch (error) {
        this.#options.onTrouble(error)
        setTimeout(() => this.#flushSoon(), troubleMillis).unref()
      }
      this.#changed()
    }, flushMillis)
  }

  #changed(): void {
    const waiting = this.#onChange
    this.#onChange = []
    for (const resolve of waiting) resolve()
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#onChange.push(resolve))
  }
}
