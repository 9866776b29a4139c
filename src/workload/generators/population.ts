/** Parameters that most generators have: how many requests, how long, and whose. */
import type { RandomStream } from '../../core/random.ts'
import { micros, type Micros } from '../../core/units.ts'
import { logNormal, WeightedChoice, zipfWeights } from '../distributions.ts'
import type { ContentId, WorkloadRequest } from '../workload.ts'
import { invalid } from './generator.ts'

/** Smallest rate, length spread and the like that is told from nothing. */
export const positive = 1e-6

export const numRequests = { default: 200, min: 1, integer: true, about: 'How many requests.' } as const
export const rate = { default: 1, min: positive, about: 'Mean requests per second.' } as const

export const lengthParameters = {
  prompt: { default: 512, min: 1, about: 'Mean tokens of a prompt.' },
  output: { default: 128, min: 1, about: 'Mean tokens of an answer.' },
  spread: {
    default: 0,
    min: 0,
    about: 'Coefficient of variation of both lengths (log-normal); 0: all are equal.',
  },
  'max-tokens': { default: 32_768, min: 1, integer: true, about: 'Longest prompt, and longest answer.' },
} as const

/** Long prompts beside others: documents beside chats. */
export const longParameters = {
  'long-share': { default: 0, min: 0, max: 1, about: 'Share of the requests with a long prompt.' },
  'long-prompt': { default: 4096, min: 1, about: 'Mean tokens of a long prompt.' },
} as const

export const tenantParameters = {
  tenants: { default: 1, min: 1, integer: true, about: 'How many tenants.' },
  zipf: { default: 0, min: 0, about: 'Exponent of the Zipf law of their shares; 0: all are equal.' },
  shares: { default: '', about: 'Shares of the tenants instead, as in 5:3:1.' },
} as const

interface TenantValues {
  readonly tenants: number
  readonly zipf: number
  readonly shares: string
}

/** Weights of the tenants. @throws {ServingError} INVALID_WORKLOAD for shares that are none. */
export function tenantShares({ tenants, zipf, shares }: TenantValues): readonly number[] {
  if (shares === '') return zipfWeights(tenants, zipf)
  const weights = shares.split(':').map(Number)
  if (weights.every((weight) => Number.isFinite(weight) && weight > 0)) return weights
  throw invalid(`shares: "${shares}" is not numbers above 0 with colons between them.`)
}

/** Whole parts of `count`, one a weight and each within one of its share, that add up to it. */
export function shareOut(count: number, weights: readonly number[]): readonly number[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  let upTo = 0
  let given = 0
  return weights.map((weight) => {
    upTo += weight
    const part = Math.round((count * upTo) / total) - given
    given += part
    return part
  })
}

export function tenantName(index: number): string {
  return `tenant-${index}`
}

/** Draws the tenant of each request by its share. */
export class TenantDraw {
  readonly #choice: WeightedChoice
  readonly #random: RandomStream

  constructor(values: TenantValues, random: RandomStream) {
    this.#choice = new WeightedChoice(tenantShares(values))
    this.#random = random
  }

  next(): string {
    return tenantName(this.#choice.draw(this.#random))
  }
}

/** A log-normal length in whole tokens, 1 to `max`. */
export function drawLength(
  random: RandomStream,
  { mean, spread, max }: { readonly mean: number; readonly spread: number; readonly max: number },
): number {
  return Math.min(max, Math.max(1, Math.round(logNormal(random, mean, spread))))
}

export interface LengthValues {
  readonly prompt: number
  readonly output: number
  readonly spread: number
  readonly 'max-tokens': number
  readonly 'long-share': number
  readonly 'long-prompt': number
}

/** Lengths of a request's prompt and of its answer. */
export function drawLengths(
  random: RandomStream,
  values: LengthValues,
): Pick<WorkloadRequest, 'numPromptTokens' | 'numOutputTokens'> {
  const share = values['long-share']
  const isLong = share > 0 && random.next() < share
  const draw = (mean: number) =>
    drawLength(random, { mean, spread: values.spread, max: values['max-tokens'] })
  return {
    numPromptTokens: draw(isLong ? values['long-prompt'] : values.prompt),
    numOutputTokens: draw(values.output),
  }
}

/** A request that belongs to no program. */
export function single(fields: {
  readonly arrival: Micros
  readonly tenant: string
  readonly numPromptTokens: number
  readonly numOutputTokens: number
  readonly blocks: readonly ContentId[]
}): WorkloadRequest {
  const alone = { program: undefined, turn: 0, gap: micros(0), gapKind: undefined } as const
  return { ...alone, serviceClass: 'default', ...fields }
}
