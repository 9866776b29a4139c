/** The sampling side of an engine: one sampler for each sequence that the scheduler has, and what they chose. */
import { ServingError } from '../core/errors.ts'
import type { GenerationRequest } from '../core/request.ts'
import type { TokenLogprobs } from '../core/sampling-params.ts'
import type { RequestId } from '../core/units.ts'
import type { LogitsNeed, LogitsRow } from '../executor/executor.ts'
import { createSampler, type Sampler } from '../sampling/sampler.ts'
import type { Sampled } from '../scheduler/scheduler.ts'
import type { StepPlan } from '../scheduler/step-plan.ts'

const noNeed: LogitsNeed = { kind: 'none' }

/** What a step's rows became. */
export interface StepSamples {
  /** One for each entry of the plan. */
  readonly tokens: readonly Sampled[]
  readonly logprobs: ReadonlyMap<RequestId, TokenLogprobs>
  /** Why the entries marked `failed` have no token. */
  readonly failures: ReadonlyMap<RequestId, string>
}

interface Live {
  readonly sampler: Sampler
  hasStarted: boolean
}

export class SequenceSamplers {
  readonly #live = new Map<RequestId, Live>()
  #numNotStarted = 0

  get size(): number {
    return this.#live.size
  }

  add({ id, sampling, promptTokens, outputTokens }: GenerationRequest): void {
    this.#numNotStarted += 1
    this.#live.set(id, { sampler: createSampler(sampling, promptTokens, outputTokens), hasStarted: false })
  }

  delete(id: RequestId): void {
    if (this.#live.get(id)?.hasStarted === false) this.#numNotStarted -= 1
    this.#live.delete(id)
  }

  /** Who is part of a step for the first time; each is told once. */
  takeStarting(plan: StepPlan): RequestId[] {
    const starting: RequestId[] = []
    if (this.#numNotStarted === 0) return starting
    for (const { requestId } of plan.entries) {
      const live = this.#live.get(requestId)
      if (live === undefined || live.hasStarted) continue
      live.hasStarted = true
      this.#numNotStarted -= 1
      starting.push(requestId)
    }
    return starting
  }

  needsOf(plan: StepPlan): LogitsNeed[] {
    return plan.entries.map(({ samples, requestId }) =>
      samples ? (this.#live.get(requestId)?.sampler.need() ?? noNeed) : noNeed,
    )
  }

  /** Unusable logits fail their own sequence alone. */
  sample(plan: StepPlan, rows: readonly (LogitsRow | undefined)[]): StepSamples {
    const logprobs = new Map<RequestId, TokenLogprobs>()
    const failures = new Map<RequestId, string>()
    const tokens = plan.entries.map(({ requestId }, index): Sampled => {
      const row = rows[index]
      const live = this.#live.get(requestId)
      if (row === undefined || live === undefined) return undefined
      try {
        const chosen = live.sampler.sample(row)
        if (chosen.logprobs !== undefined) logprobs.set(requestId, chosen.logprobs)
        return chosen.tokenId
      } catch (error) {
        if (!(error instanceof ServingError)) throw error
        failures.set(requestId, error.message)
        return 'failed'
      }
    })
    return { tokens, logprobs, failures }
  }
}
