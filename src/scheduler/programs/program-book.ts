import type { FinishReason } from '../../core/request.ts'
import { micros, type Micros, type RequestId, type SequenceId } from '../../core/units.ts'
import type { KvCacheManager } from '../../kvcache/kv-cache-manager.ts'
import type { PrefixHit } from '../../kvcache/prefix-cache.ts'
import type { ReleasedPath } from '../../kvcache/released-path.ts'
import type { Sequence, SequenceView } from '../sequence.ts'
import type { StepWork } from '../step-work.ts'
import { PrefillPace } from './pace.ts'
import { PauseModel } from './pause-model.ts'
import { ProgramFinder } from './program-finder.ts'

/** A program between two of its turns, or that has come back and waits. */
interface Paused {
  readonly tenant: string
  readonly startedAt: Micros
  readonly requestId: RequestId
  readonly since: Micros
  readonly numTokens: number
  readonly path: ReleasedPath | undefined
  tool: string | undefined
  /** Until then its blocks are worth more; 0 when they are not. */
  until: number
}

/** What the KV of a program that pauses counts in eviction, as a multiple of what is usual. */
const pausedRetention = 16
/** Of too many pauses the one that began first is forgotten. */
const mostPaused = 1024
/** Who has not come back by then is taken for ended. */
const endless = 600_000_000
/** Nobody is held back for longer. */
const longestHold = 30_000_000
const endlessGap = micros(Infinity)

/**
 * Programs: agents and conversations, whose turns come one after the other. It finds out which program a request
 * belongs to, learns how long pauses are, and makes the KV of a program that pauses worth more in eviction for as long
 * as that is predicted to pay (`PauseModel`), and from its return until it is admitted. Times are the scheduler's.
 */
export class ProgramBook {
  readonly #kv: KvCacheManager
  readonly #finder: ProgramFinder
  readonly #pauses = new PauseModel()
  readonly #pace = new PrefillPace()
  readonly #paused = new Map<string, Paused>()
  /** Sequences that have not ended, by program. */
  readonly #numLive = new Map<string, number>()
  /** What the tools of turns under way are called, as far as anybody said. */
  readonly #tools = new Map<RequestId, string>()
  /** Of programs that have come back, and wait. */
  readonly #returning = new Map<SequenceId, Paused>()
  readonly #waiting = new Map<SequenceId, string>()
  /** Sequences that wait, by tenant. */
  readonly #numWaiting = new Map<string, number>()
  #held: { readonly id: SequenceId; readonly since: Micros } | undefined
  /** When `begin` has something to do. */
  #nextEnd = Infinity
  #now: Micros = micros(0)

  constructor(kv: KvCacheManager) {
    this.#kv = kv
    this.#finder = new ProgramFinder(kv.blockSize)
  }

  /** Programs that are known to pause. */
  get numPaused(): number {
    return this.#paused.size
  }

  /** Before it waits: it may turn out to belong to a program. */
  add(sequence: Sequence): void {
    const { request, keys } = sequence
    const { tenant } = request
    if (request.program === undefined && keys !== undefined) {
      const found = this.#finder.find(tenant, keys, sequence.numPromptTokens)
      if (found !== undefined) sequence.request = { ...request, ...found }
    }
    this.wait(sequence)
    const name = nameOf(tenant, sequence.request.program)
    if (name === undefined) return
    this.#numLive.set(name, (this.#numLive.get(name) ?? 0) + 1)
    const paused = this.#paused.get(name)
    if (paused === undefined) return
    this.#paused.delete(name)
    const gap = micros(Math.max(0, request.arrivedAt - paused.since))
    this.#pauses.observe({ tool: paused.tool, program: name }, gap)
    paused.path?.raise(pausedRetention)
    this.#returning.set(sequence.id, paused)
  }

  /** It waits, and is a later turn of its program. */
  isReturning(id: SequenceId): boolean {
    return this.#returning.has(id)
  }

  /** It lost its place. */
  wait({ id, request: { tenant } }: SequenceView): void {
    this.#waiting.set(id, tenant)
    this.#numWaiting.set(tenant, (this.#numWaiting.get(tenant) ?? 0) + 1)
  }

  /**
   * Whether the first in line should rather wait than push out what programs of its tenant need that began before it and
   * pause, while somebody runs: else one more would compute its history again, and all of them later. It delays nobody
   * but its own tenant, and ends with the pauses.
   */
  holdsBack(sequence: SequenceView, hit: PrefixHit, numSpareBlocks: number): boolean {
    if (this.#isInTheWay(sequence, hit, numSpareBlocks)) {
      if (this.#held?.id !== sequence.id) this.#held = { id: sequence.id, since: this.#now }
      return this.#now - this.#held.since < longestHold
    }
    return false
  }

  /** It runs: its blocks are in use. */
  admit({ id }: SequenceView): void {
    this.#stopWaiting(id)
    const paused = this.#returning.get(id)
    if (paused === undefined) return
    this.#returning.delete(id)
    paused.path?.lower()
  }

  /** The turn ends, or has just ended, in a call of this tool: says more about the pause than that there is one. */
  noteToolCall(id: RequestId, tool: string): void {
    for (const [name, paused] of this.#paused) {
      if (paused.requestId !== id) continue
      paused.tool = tool
      this.#keep(name, paused)
      return
    }
    this.#tools.set(id, tool)
    if (this.#tools.size > mostPaused) this.#tools.delete(this.#tools.keys().next().value!)
  }

  /** A sequence ends, and gives back its blocks. */
  end(sequence: SequenceView, reason: FinishReason): void {
    const { id, request } = sequence
    this.admit(sequence)
    const isOver = reason === 'stop' || reason === 'length'
    const program = isOver ? this.#finder.note(sequence) : request.program
    const tool = this.#tools.get(request.id)
    this.#tools.delete(request.id)
    const isLast = this.#leave(nameOf(request.tenant, request.program))
    // Most requests that stand alone are not continued.
    const pauses = isOver && isLast && (request.program !== undefined || tool !== undefined)
    const name = pauses ? nameOf(request.tenant, program) : undefined
    if (name === undefined) {
      this.#kv.free(id)
      return
    }
    const path = this.#kv.release(id)
    this.#paused.get(name)?.path?.lower()
    this.#paused.delete(name)
    const numTokens = sequence.tokens.length
    const startedAt = startOf(sequence)
    const paused = {
      tenant: request.tenant,
      startedAt,
      requestId: request.id,
      since: this.#now,
      ...{ numTokens, path, tool, until: 0 },
    }
    this.#paused.set(name, paused)
    this.#keep(name, paused)
    if (this.#paused.size > mostPaused) this.#forget(this.#paused.keys().next().value!)
  }

  /** Once a step, before it is planned. */
  begin(now: Micros): void {
    this.#now = now
    if (now < this.#nextEnd) return
    this.#nextEnd = Infinity
    for (const [name, paused] of this.#paused) {
      if (now >= paused.since + endless) this.#forget(name)
      else if (now >= paused.until) {
        paused.path?.lower()
        this.#nextEnd = Math.min(this.#nextEnd, paused.since + endless)
      } else this.#nextEnd = Math.min(this.#nextEnd, paused.until)
    }
  }

  observe(work: StepWork, stepMicros: number): void {
    this.#pace.observe(work, stepMicros)
  }

  #isInTheWay(sequence: SequenceView, hit: PrefixHit, numSpareBlocks: number): boolean {
    const kv = this.#kv
    const { numRaisedBlocks } = kv
    const { id, request, tokens, firstScheduledAt } = sequence
    if (numRaisedBlocks === 0 || this.#numWaiting.size > 1) return false
    if (firstScheduledAt !== undefined || this.#returning.has(id)) return false
    if (kv.canStart(hit, tokens.length, numSpareBlocks + numRaisedBlocks)) return false
    const startedAt = startOf(sequence)
    let numKept = 0
    for (const paused of [...this.#paused.values(), ...this.#returning.values()]) {
      if (paused.tenant !== request.tenant || paused.startedAt >= startedAt) continue
      numKept += paused.path?.numRaised ?? 0
    }
    return !kv.canStart(hit, tokens.length, numSpareBlocks + Math.min(numKept, numRaisedBlocks))
  }

  #stopWaiting(id: SequenceId): void {
    const tenant = this.#waiting.get(id)
    if (tenant === undefined) return
    this.#waiting.delete(id)
    const numLeft = this.#numWaiting.get(tenant)! - 1
    if (numLeft === 0) this.#numWaiting.delete(tenant)
    else this.#numWaiting.set(tenant, numLeft)
  }

  /** As long as the model says that it pays. */
  #keep(name: string, paused: Paused): void {
    const { path, numTokens, since, tool } = paused
    const recompute = this.#pace.predict(numTokens)
    if (path === undefined || recompute === undefined) return
    const reload = this.#kv.swapper?.reloadMicros(path.numBlocks) ?? Infinity
    // Where the pool is full, holding a share of it holds back that share of the machine.
    const share = path.numBlocks / this.#kv.numBlocks
    const keepPerMicro = share * (1 - this.#kv.numFreeBlocks / this.#kv.numBlocks)
    const restore = Math.min(recompute, reload)
    paused.until = since + this.#pauses.timeToLive({ tool, program: name }, { keepPerMicro, restore })
    this.#nextEnd = Math.min(this.#nextEnd, Math.max(paused.until, since + 1))
    if (paused.until > this.#now) path.raise(pausedRetention)
    else path.lower()
  }

  #forget(name: string): void {
    const { tool, path } = this.#paused.get(name)!
    this.#paused.delete(name)
    this.#pauses.observe({ tool, program: name }, endlessGap)
    path?.lower()
  }

  /** True for the last one of its program. */
  #leave(name: string | undefined): boolean {
    if (name === undefined) return true
    const numLeft = (this.#numLive.get(name) ?? 1) - 1
    if (numLeft > 0) this.#numLive.set(name, numLeft)
    else this.#numLive.delete(name)
    return numLeft === 0
  }
}

/** Of its program; of a request that stands alone, its own. */
const startOf = ({ request }: SequenceView): Micros => request.programStartedAt ?? request.arrivedAt

/** Of a tenant's program; undefined for a request that stands alone. */
function nameOf(tenant: string, program: string | undefined): string | undefined {
  return program === undefined ? undefined : `${tenant.length}:${tenant}${program}`
}
