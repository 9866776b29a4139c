/**
 * The engine in a child process, and its continuation in another one when it dies: every unfinished request is sent
 * again with the tokens delivered so far, so that its stream sees a pause and not an error.
 *
 * Who is to blame for a crash? Everybody who was running is a suspect. After a second crash, suspects with two crashes
 * run alone, one at a time, while nobody else runs; who crashes the engine alone is failed, alone.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { errorTable, ServingError, type ErrorCode } from '../core/errors.ts'
import type { GenerationRequest } from '../core/request.ts'
import type { RequestId } from '../core/units.ts'
import type { EngineClient, EngineStatus, SequenceListener } from './engine-client.ts'
import type { EngineOptions } from './engine-options.ts'
import { Ledger, type LedgerEntry } from './ledger.ts'
import type { EngineInfo, EngineStats, FromEngine, ToEngine } from './protocol.ts'
import { systemClock } from './system-clock.ts'
import { timingsAtFailure } from './timings.ts'

interface Deferred<T> {
  readonly promise: Promise<T>
  readonly resolve: (value: T) => void
  readonly reject: (error: Error) => void
}

/** So many deaths in a row without a step between them: it will not get better. */
const maxFruitlessStarts = 3
const crashesUntilProbation = 2

export class ChildProcessClient implements EngineClient {
  status: EngineStatus = { state: 'loading', progress: 0 }
  stats: EngineStats | undefined
  readonly #options: EngineOptions
  readonly #ledger = new Ledger()
  readonly #stepListeners = new Set<(stats: EngineStats) => void>()
  readonly #ready: Deferred<EngineInfo> = defer()
  #child: ChildProcess | undefined
  #isUp = false
  #fruitlessStarts = 0
  #submits: LedgerEntry[] = []
  #cancels: RequestId[] = []
  #isFlushPlanned = false
  /** Runs alone because it is suspected; everybody else waits here meanwhile. */
  #onProbation: LedgerEntry | undefined

  constructor(options: EngineOptions) {
    this.#options = options
    this.#ready.promise.catch(() => undefined)
    this.#start()
  }

  ready(): Promise<EngineInfo> {
    return this.#ready.promise
  }

  submit(request: GenerationRequest, listener: SequenceListener): void {
    const entry = this.#ledger.add(request, listener)
    if (this.status.state === 'failed' || this.status.state === 'closed') {
      const message = this.status.state === 'failed' ? this.status.message : 'The engine was closed.'
      queueMicrotask(() => this.#ledger.fail(entry, message, timingsAtFailure(request, systemClock)))
      return
    }
    this.#submits.push(entry)
    this.#planFlush()
  }

  cancel(id: RequestId): void {
    const entry = this.#ledger.find(id)
    if (entry === undefined || entry.isCancelled) return
    entry.isCancelled = true
    this.#cancels.push(id)
    this.#planFlush()
  }

  onStep(listener: (stats: EngineStats) => void): () => void {
    this.#stepListeners.add(listener)
    return () => this.#stepListeners.delete(listener)
  }

  async close(): Promise<void> {
    if (this.status.state === 'closed') return
    this.status = { state: 'closed' }
    this.#ready.reject(new ServingError('ENGINE_FAILED', 'The engine was closed.'))
    const child = this.#child
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const gone = new Promise((resolve) => child.once('exit', resolve))
      // A model that is still loading does not listen yet.
      if (this.#isUp) child.send({ type: 'close' } satisfies ToEngine)
      else child.kill('SIGKILL')
      await gone
    }
    this.#failAll('The engine was closed.')
  }

  #start(): void {
    const isSource = import.meta.url.endsWith('.ts')
    const script = fileURLToPath(new URL(`./engine-process.${isSource ? 'ts' : 'js'}`, import.meta.url))
    const child = fork(script, {
      serialization: 'advanced',
      execArgv: isSource ? ['--import', 'tsx'] : [],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    this.#child = child
    this.#isUp = false
    child.on('message', (message: FromEngine) => this.#receive(message))
    child.on('error', (error) => this.#giveUp('ENGINE_FAILED', error.message))
    child.once('exit', (code, signal) => this.#died(signal ?? `exit code ${code}`))
    child.send(this.#options)
  }

  #receive(message: FromEngine): void {
    switch (message.type) {
      case 'loading': {
        const state = this.status.state === 'restarting' ? 'restarting' : 'loading'
        if (this.status.state !== 'closed') this.status = { state, progress: message.progress }
        return
      }
      case 'ready':
        if (this.status.state !== 'closed') this.status = { state: 'ready' }
        this.#isUp = true
        this.#ready.resolve(message.info)
        this.#flush()
        return
      case 'failed':
        this.#giveUp(message.code, message.message)
        return
      case 'step':
        this.#fruitlessStarts = 0
        this.stats = message.stats
        this.#ledger.deliver(message.updates)
        for (const listener of this.#stepListeners) listener(message.stats)
        this.#endProbation()
        return
      default:
        message satisfies never
    }
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
    if (!this.#isUp || this.#child === undefined) return
    const isHeld = (entry: LedgerEntry) => this.#onProbation !== undefined && entry !== this.#onProbation
    const submits = this.#submits.filter((entry) => !isHeld(entry))
    this.#submits = this.#submits.filter(isHeld)
    const alive = submits.filter((entry) => !entry.isCancelled)
    for (const entry of submits) if (entry.isCancelled) this.#fail(entry, 'cancelled')
    for (const entry of this.#submits.filter(({ isCancelled }) => isCancelled)) this.#fail(entry, 'cancelled')
    this.#submits = this.#submits.filter(({ isCancelled }) => !isCancelled)
    if (alive.length > 0) {
      for (const entry of alive) entry.hasRun = true
      const requests = alive.map((entry) => this.#ledger.continuation(entry))
      this.#child.send({ type: 'submit', requests } satisfies ToEngine)
    }
    const ids = this.#cancels.filter((id) => this.#ledger.find(id) !== undefined)
    this.#cancels = []
    if (ids.length > 0) this.#child.send({ type: 'cancel', ids } satisfies ToEngine)
  }

  #died(how: string): void {
    if (this.status.state === 'closed' || this.status.state === 'failed') return
    this.#isUp = false
    const wasAlone = this.#onProbation
    this.#onProbation = undefined
    if (++this.#fruitlessStarts > maxFruitlessStarts && wasAlone === undefined) {
      this.#giveUp('ENGINE_FAILED', `The engine died ${this.#fruitlessStarts} times in a row (${how}).`)
      return
    }
    for (const entry of this.#ledger.entries) if (entry.hasRun) entry.numCrashes++
    if (wasAlone !== undefined && this.#ledger.find(wasAlone.request.id) !== undefined) {
      this.#fail(wasAlone, `The engine died while it ran this request alone (${how}).`)
      this.#fruitlessStarts = 0
    }
    const unfinished = [...this.#ledger.entries]
    for (const entry of unfinished) entry.hasRun = false
    this.#submits = unfinished
    this.#onProbation = unfinished.find((entry) => entry.numCrashes >= crashesUntilProbation)
    this.status = { state: 'restarting', progress: 0 }
    this.#start()
  }

  /** A suspect that finished is innocent; the next one is tried, then everybody may run. */
  #endProbation(): void {
    const suspect = this.#onProbation
    if (suspect === undefined || this.#ledger.find(suspect.request.id) !== undefined) return
    this.#onProbation = this.#submits.find((entry) => entry.numCrashes >= crashesUntilProbation)
    this.#planFlush()
  }

  #giveUp(code: string, message: string): void {
    if (this.status.state === 'closed' || this.status.state === 'failed') return
    this.status = { state: 'failed', message }
    const known = code in errorTable ? (code as ErrorCode) : 'ENGINE_FAILED'
    this.#ready.reject(new ServingError(known, message))
    this.#failAll(message)
  }

  #fail(entry: LedgerEntry, message: string): void {
    this.#ledger.fail(entry, message, timingsAtFailure(entry.request, systemClock))
  }

  #failAll(message: string): void {
    for (const entry of [...this.#ledger.entries]) this.#fail(entry, message)
  }
}

function defer<T>(): Deferred<T> {
  let resolve: Deferred<T>['resolve'] = () => undefined
  let reject: Deferred<T>['reject'] = () => undefined
  const promise = new Promise<T>((onValue, onError) => {
    resolve = onValue
    reject = onError
  })
  return { promise, resolve, reject }
}
