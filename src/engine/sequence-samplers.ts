/** The sampling side of an engine: one sampler for each sequence that the scheduler has, and what they chose. */
import { invariant, ServingError } from '../core/errors.ts'
import type { GenerationRequest } from '../core/request.ts'
import type { TokenLogprobs } from '../core/sampling-params.ts'
import type { RequestId } from '../core/units.ts'
import type { LogitsNeed, LogitsRow, StepResult } from '../executor/executor.ts'
import type { GrammarEngine } from '../grammar/grammar-engine.ts'
import type { GrammarMatcher } from '../grammar/grammar-matcher.ts'
import { createSampler, type SampledToken, type Sampler } from '../sampling/sampler.ts'
import type { Sampled } from '../scheduler/finished-step.ts'
import type { PlanEntry, StepPlan } from '../scheduler/step-plan.ts'
import type { SequenceError } from './engine-client.ts'
import { StatePooling } from './state-pooling.ts'

const noNeed: LogitsNeed = { kind: 'none' }

/** What a step's rows became. */
export interface StepSamples {
  /** One for each entry of the plan. */
  readonly tokens: readonly Sampled[]
  readonly logprobs: ReadonlyMap<RequestId, TokenLogprobs>
  /** Of the sequences that end with a vector. */
  readonly vectors: ReadonlyMap<RequestId, Float32Array>
  /** Why the entries marked `failed` have no token. */
  readonly failures: ReadonlyMap<RequestId, string>
}

interface Live {
  readonly sampler: Sampler
  /** Where the sequence's text stands in its grammar; undefined: any text will do. */
  readonly matcher: GrammarMatcher | undefined
  /** Undefined: the sequence goes on with tokens. */
  readonly pooling: StatePooling | undefined
  hasStarted: boolean
}

/** What stands in for a token where a sequence ends with a vector; nobody is shown it. */
const placeholder = 0

export class SequenceSamplers {
  readonly #live = new Map<RequestId, Live>()
  readonly #grammars: GrammarEngine | undefined
  #numNotStarted = 0

  /** Without grammars, no request may have one. */
  constructor(grammars?: GrammarEngine) {
    this.#grammars = grammars
  }

  get size(): number {
    return this.#live.size
  }

  /** Says why not when it cannot keep to the request's grammar. */
  add(request: GenerationRequest): SequenceError | undefined {
    const { id, sampling, promptTokens, outputTokens } = request
    const matcher = this.#matcherOf(request)
    if (matcher !== undefined && 'code' in matcher) return matcher
    const sampler = createSampler(sampling, promptTokens, outputTokens)
    const pooling = request.pooling && new StatePooling(request.pooling)
    this.#numNotStarted += 1
    this.#live.set(id, { sampler, matcher, pooling, hasStarted: false })
    return undefined
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
    return plan.entries.map((entry) => {
      const live = this.#live.get(entry.requestId)
      if (live?.pooling !== undefined) return live.pooling.need(entry)
      return entry.samples ? (live?.sampler.need() ?? noNeed) : noNeed
    })
  }

  /**
   * Finds what may follow in the sequences that the plan samples: while the step computes, so that sampling needs not
   * wait for it. What cannot be found is told when its turn comes.
   */
  prepareMasks(plan: StepPlan): void {
    if (this.#grammars === undefined) return
    for (const { samples, requestId } of plan.entries) {
      const matcher = samples ? this.#live.get(requestId)?.matcher : undefined
      if (matcher !== undefined) orServingError(() => matcher.mask())
    }
  }

  /** Unusable logits, and grammars that cannot be followed, fail their own sequence alone. */
  sample(plan: StepPlan, { rows, states }: Pick<StepResult, 'rows' | 'states'>): StepSamples {
    const logprobs = new Map<RequestId, TokenLogprobs>()
    const vectors = new Map<RequestId, Float32Array>()
    const failures = new Map<RequestId, string>()
    const tokens = plan.entries.map((entry, index): Sampled => {
      const { requestId } = entry
      const row: LogitsRow | undefined = rows[index]
      const live = this.#live.get(requestId)
      if (live?.pooling !== undefined) {
        const vector = pool(live.pooling, entry, states?.[index])
        if (vector !== undefined) vectors.set(requestId, vector)
        else if (entry.samples) failures.set(requestId, 'The states of this text are not numbers.')
        return entry.samples ? (vector === undefined ? 'failed' : placeholder) : undefined
      }
      if (row === undefined || live === undefined) return undefined
      const chosen = orServingError(() => sampleOne(live, row))
      if (chosen instanceof ServingError) {
        failures.set(requestId, chosen.message)
        return 'failed'
      }
      if (chosen.logprobs !== undefined) logprobs.set(requestId, chosen.logprobs)
      return chosen.tokenId
    })
    return { tokens, logprobs, vectors, failures }
  }

  #matcherOf({ grammar, outputTokens }: GenerationRequest): GrammarMatcher | SequenceError | undefined {
    if (grammar === undefined) return undefined
    const grammars = this.#grammars
    if (grammars === undefined)
      return { code: 'INVALID_REQUEST', message: 'This engine keeps to no grammars.' }
    const matcher = orServingError(() => grammars.matcher(grammar))
    if (matcher instanceof ServingError) return { code: 'INVALID_REQUEST', message: matcher.message }
    const isMatched = outputTokens.every((tokenId) => matcher.accept(tokenId))
    return isMatched
      ? matcher
      : { code: 'INVALID_REQUEST', message: 'The output so far is not of the grammar.' }
  }
}

function sampleOne({ sampler, matcher }: Live, row: LogitsRow): SampledToken {
  const chosen = sampler.sample(row, matcher?.mask())
  const isAccepted = matcher?.accept(chosen.tokenId) ?? true
  invariant(isAccepted, `token ${chosen.tokenId} was sampled, but its grammar does not allow it`)
  return chosen
}

function orServingError<T>(action: () => T): T | ServingError {
  try {
    return action()
  } catch (error) {
    if (error instanceof ServingError) return error
    throw error
  }
}

/** The vector, once the entry is the last one. */
function pool(
  pooling: StatePooling,
  entry: PlanEntry,
  states: Float32Array | undefined,
): Float32Array | undefined {
  if (states !== undefined) pooling.add(entry, states)
  return entry.samples ? pooling.result() : undefined
}
