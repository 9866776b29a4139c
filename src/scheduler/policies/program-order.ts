import { invariant } from '../../core/errors.ts'
import type { SequenceId } from '../../core/units.ts'
import type { TokenPrices } from '../policy.ts'
import type { SequenceView } from '../sequence.ts'

export interface ProgramOrderConfig {
  readonly prices: TokenPrices
  /**
   * A program's turns keep the place of its first one until they have cost as much as this many usual requests, then
   * the next place, and so on. A pause, such as for a tool call, costs nothing; within one tenant that takes nothing
   * from other tenants. Undefined: each request has a place of its own, and pauses earn no credit.
   */
  readonly requestsPerPlace: number | undefined
}

interface Program {
  /** Counts up from program to program. */
  readonly number: number
  /** Virtual time of its tenant when its first request came, and what its requests cost since. */
  readonly start: number
  consumed: number
  /** Where its next request begins if each has a place of its own. */
  finish: number
}

interface Tenant {
  virtualTime: number
  numUnfinished: number
  /** In order of the last request. */
  readonly programs: Map<string, Program>
}

interface Tag {
  /** Virtual time of its tenant at which it begins. */
  readonly start: number
  /** The lowest goes first. */
  readonly place: number
  /** Of two with the same place the older program goes first. */
  readonly number: number
  readonly cost: number
  readonly program: Program
}

const mostTenants = 4096
const mostPrograms = 1024
/** How much of the mean length of outputs one more observation leaves, and what it is before the first. */
const retention = 0.95
const firstOutputLength = 128

/**
 * Order among one tenant's requests: by estimated virtual finish time, as in user-weighted fair queueing (UWFQ) with
 * the start times of start-time fair queueing (Goyal et al., SIGCOMM 1996). A program's requests come one behind the
 * other in virtual time, so many of them buy it no larger share of its tenant; a request without a program is one by
 * itself, and a short one may pass a long one. What a request costs is its prompt and the outputs expected of it.
 *
 * With places for several requests (`requestsPerPlace`) the order is by where the place begins: a program of usual
 * size is served in the order in which programs began, and one of many requests falls behind place by place.
 */
export class ProgramOrder {
  readonly #config: ProgramOrderConfig
  readonly #tenants = new Map<string, Tenant>()
  readonly #tags = new Map<SequenceId, Tag>()
  #meanOutput = firstOutputLength
  #meanCost = 0
  #numPrograms = 0

  constructor(config: ProgramOrderConfig) {
    this.#config = config
  }

  /** Negative when `a` goes first; both are tagged. */
  compare(a: SequenceView, b: SequenceView): number {
    const [first, second] = [this.#tagOf(a), this.#tagOf(b)]
    return (
      a.request.priority - b.request.priority || first.place - second.place || first.number - second.number
    )
  }

  /** When it begins to wait. One that waits again keeps its tag. */
  tag(sequence: SequenceView): void {
    if (this.#tags.has(sequence.id)) return
    const { tenant: name, program: programName } = sequence.request
    const tenant = this.#tenantOf(name)
    tenant.numUnfinished += 1
    const cost = this.#costOf(sequence, Math.min(sequence.request.maxTokens, this.#meanOutput))
    this.#meanCost = this.#meanCost === 0 ? cost : retention * this.#meanCost + (1 - retention) * cost
    const program = this.#programOf(tenant, programName)
    const given = this.#placeOf(program, tenant, cost)
    program.finish = Math.max(program.finish, given.place)
    program.consumed += cost
    this.#tags.set(sequence.id, { number: program.number, cost, program, ...given })
  }

  admit(sequence: SequenceView): void {
    const tenant = this.#tenants.get(sequence.request.tenant)
    const { start } = this.#tagOf(sequence)
    if (tenant !== undefined) tenant.virtualTime = Math.max(tenant.virtualTime, start)
  }

  /** What it really cost counts for its program's next request. */
  finish(sequence: SequenceView): void {
    const tag = this.#tagOf(sequence)
    this.#tags.delete(sequence.id)
    const wasAdmitted = sequence.firstScheduledAt !== undefined
    if (wasAdmitted) {
      this.#meanOutput = retention * this.#meanOutput + (1 - retention) * sequence.numOutputTokens
    }
    const cost = wasAdmitted ? this.#costOf(sequence, sequence.numOutputTokens) : 0
    tag.program.finish += cost - tag.cost
    tag.program.consumed += cost - tag.cost
    const tenant = this.#tenants.get(sequence.request.tenant)
    if (tenant !== undefined) tenant.numUnfinished -= 1
  }

  #placeOf({ start, consumed, finish }: Program, { virtualTime }: Tenant, cost: number) {
    const { requestsPerPlace } = this.#config
    if (requestsPerPlace === undefined) {
      const begin = Math.max(finish, virtualTime)
      return { start: begin, place: begin + cost }
    }
    const width = Math.max(cost, requestsPerPlace * this.#meanCost)
    const place = start + Math.ceil((consumed + cost) / width - 1) * width
    return { start: place, place }
  }

  /** A request without a program is one by itself. */
  #programOf({ programs, virtualTime }: Tenant, name: string | undefined): Program {
    const fresh = { number: this.#numPrograms, start: virtualTime, consumed: 0, finish: virtualTime }
    const program = (name === undefined ? undefined : programs.get(name)) ?? fresh
    if (program === fresh) this.#numPrograms += 1
    if (name === undefined) return program
    programs.delete(name)
    programs.set(name, program)
    if (programs.size > mostPrograms) programs.delete(programs.keys().next().value!)
    return program
  }

  #costOf({ numPromptTokens }: SequenceView, numOutputTokens: number): number {
    const { prompt, output } = this.#config.prices
    return prompt * numPromptTokens + output * numOutputTokens
  }

  #tagOf({ id }: SequenceView): Tag {
    const tag = this.#tags.get(id)
    invariant(tag !== undefined, `sequence ${id} never waited`)
    return tag
  }

  #tenantOf(name: string): Tenant {
    let tenant = this.#tenants.get(name)
    if (tenant === undefined) tenant = { virtualTime: 0, numUnfinished: 0, programs: new Map() }
    else this.#tenants.delete(name)
    this.#tenants.set(name, tenant)
    if (this.#tenants.size > mostTenants) this.#forgetTenant(name)
    return tenant
  }

  /** The idle one that was quiet longest, looked for among a few. */
  #forgetTenant(except: string): void {
    let numSeen = 0
    for (const [name, { numUnfinished }] of this.#tenants) {
      if (numUnfinished === 0 && name !== except) {
        this.#tenants.delete(name)
        return
      }
      if (++numSeen === 8) return
    }
  }
}
