import { invariant } from '../../core/errors.ts'
import type { SequenceId } from '../../core/units.ts'
import type { TokenPrices } from '../policy.ts'
import type { SequenceView } from '../sequence.ts'

export interface ProgramOrderConfig {
  readonly prices: TokenPrices
  /**
   * A program that pauses, such as for a tool call, keeps what it did not use meanwhile. Within one tenant that takes
   * nothing from anybody else.
   */
  readonly keepsCredit: boolean
}

interface Program {
  /** Where its next request begins in its tenant's virtual time. */
  finish: number
}

interface Tenant {
  virtualTime: number
  numUnfinished: number
  /** In order of the last request. */
  readonly programs: Map<string, Program>
}

interface Tag {
  readonly finish: number
  readonly cost: number
  readonly program: Program | undefined
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
 */
export class ProgramOrder {
  readonly #config: ProgramOrderConfig
  readonly #tenants = new Map<string, Tenant>()
  readonly #tags = new Map<SequenceId, Tag>()
  #meanOutput = firstOutputLength

  constructor(config: ProgramOrderConfig) {
    this.#config = config
  }

  /** Negative when `a` goes first; both are tagged. */
  compare(a: SequenceView, b: SequenceView): number {
    return a.request.priority - b.request.priority || this.#tagOf(a).finish - this.#tagOf(b).finish
  }

  /** When it begins to wait. One that waits again keeps its tag. */
  tag(sequence: SequenceView): void {
    if (this.#tags.has(sequence.id)) return
    const { tenant: name, program: programName } = sequence.request
    const tenant = this.#tenantOf(name)
    tenant.numUnfinished += 1
    const program = programName === undefined ? undefined : programOf(tenant, programName)
    const cost = this.#costOf(sequence, Math.min(sequence.request.maxTokens, this.#meanOutput))
    const waited = program?.finish ?? tenant.virtualTime
    const start = this.#config.keepsCredit ? waited : Math.max(waited, tenant.virtualTime)
    const finish = start + cost
    if (program !== undefined) program.finish = finish
    this.#tags.set(sequence.id, { finish, cost, program })
  }

  admit(sequence: SequenceView): void {
    const tenant = this.#tenants.get(sequence.request.tenant)
    const { finish, cost } = this.#tagOf(sequence)
    if (tenant !== undefined) tenant.virtualTime = Math.max(tenant.virtualTime, finish - cost)
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
    if (tag.program !== undefined) tag.program.finish += cost - tag.cost
    const tenant = this.#tenants.get(sequence.request.tenant)
    if (tenant !== undefined) tenant.numUnfinished -= 1
  }

  #costOf({ request }: SequenceView, numOutputTokens: number): number {
    const { prompt, output } = this.#config.prices
    return prompt * request.promptTokens.length + output * numOutputTokens
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

function programOf(tenant: Tenant, name: string): Program {
  const { programs, virtualTime } = tenant
  const program = programs.get(name) ?? { finish: virtualTime }
  programs.delete(name)
  programs.set(name, program)
  if (programs.size > mostPrograms) programs.delete(programs.keys().next().value!)
  return program
}
