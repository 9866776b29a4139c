/**
 * Who is let in. Decides at once and says why not: never an unbounded queue, never a silent drop. It knows no HTTP and
 * no clock; a refusal is an error with the time after which trying again makes sense.
 */
import { ServingError, type ErrorCode } from '../../core/errors.ts'
import { noLimits, type KeyLimits } from '../../core/tenant.ts'
import { micros, type Micros } from '../../core/units.ts'
import { TokenBucket } from './token-bucket.ts'
import { WaitPredictor } from './wait-predictor.ts'

export interface AdmissionConfig {
  /** Sequences that are unfinished at one time, over all tenants. */
  readonly maxRequests: number
  /** Tokens that these may come to. */
  readonly maxTokens: number
  /** The same for each tenant whose key says nothing else. */
  readonly maxTenantRequests: number
  readonly maxTenantTokens: number
  /** A request whose predicted time to first token is this many times its target is refused. */
  readonly lateFactor: number
}

export interface AdmissionRequest {
  readonly tenant: string
  readonly weight: number
  readonly limits: KeyLimits | undefined
  /** Time to first token that the request itself asks for; undefined: it does not mind. */
  readonly ttftTarget: Micros | undefined
  /** Let in without being counted: work that limits itself and yields to all other. */
  readonly isBackground?: boolean
  /** Tokens of the prompt and of the answer that may come, of each sequence. */
  readonly sequences: readonly { readonly numPromptTokens: number; readonly maxTokens: number | undefined }[]
}

/** What remains of a tenant's rate limits. */
export interface RateState {
  readonly requests: RateOf | undefined
  readonly tokens: RateOf | undefined
}

export interface RateOf {
  readonly limit: number
  readonly remaining: number
  /** Until all of it is there again. */
  readonly reset: Micros
}

/** One sequence that was let in. */
export interface Ticket {
  /** Its first token came. */
  noteFirstToken(now: Micros): void
  /** It ended with so many tokens generated. Ending twice counts once. */
  end(numOutputTokens: number, now: Micros): void
}

const uncounted: Ticket = { noteFirstToken: () => undefined, end: () => undefined }

/** What an answer without a limit is taken to come to, until it has ended. */
const assumedOutput = 256

interface Tenant {
  numRequests: number
  numTokens: number
  requests: TokenBucket | undefined
  tokens: TokenBucket | undefined
}

export class Admission {
  readonly #config: AdmissionConfig
  readonly #tenants = new Map<string, Tenant>()
  readonly #waits = new WaitPredictor()
  #numRequests = 0
  #numTokens = 0

  constructor(config: AdmissionConfig) {
    this.#config = config
  }

  get numRequests(): number {
    return this.#numRequests
  }

  /** Tenants that it remembers anything of. */
  get numTenants(): number {
    return this.#tenants.size
  }

  /**
   * A ticket for each sequence.
   * @throws {ServingError} RATE_LIMITED, QUEUE_FULL or TOO_LATE, and nothing is counted.
   */
  admit(request: AdmissionRequest, now: Micros): readonly Ticket[] {
    if (request.isBackground === true) return request.sequences.map(() => uncounted)
    const tenant = this.#tenantOf(request, now)
    const sizes = request.sequences.map((each) => each.numPromptTokens + (each.maxTokens ?? assumedOutput))
    const numTokens = sizes.reduce((sum, size) => sum + size, 0)
    try {
      this.#checkRates(tenant, numTokens, now)
      this.#checkQueues(request, tenant, numTokens)
      this.#checkTarget(request)
    } catch (error) {
      this.#forgetIfIdle(request.tenant, tenant)
      throw error
    }
    tenant.requests?.take(1, now)
    tenant.tokens?.take(numTokens, now)
    return request.sequences.map((each, index) => this.#issue(request, each, sizes[index]!, now))
  }

  rateState(name: string, now: Micros): RateState {
    const tenant = this.#tenants.get(name)
    return { requests: stateOf(tenant?.requests, now), tokens: stateOf(tenant?.tokens, now) }
  }

  #checkRates({ requests, tokens }: Tenant, numTokens: number, now: Micros): void {
    const forRequest = requests?.waitFor(1, now) ?? 0
    const forTokens = tokens?.waitFor(numTokens, now) ?? 0
    if (forRequest > 0) {
      const message = `The key's limit of ${requests!.perMinute} requests per minute is reached.`
      throw refusal('RATE_LIMITED', message, forRequest)
    }
    if (forTokens > 0) {
      const message = `The key's limit of ${tokens!.perMinute} tokens per minute is reached: this request may come to ${numTokens}.`
      throw refusal('RATE_LIMITED', message, forTokens)
    }
  }

  #checkQueues({ limits, sequences }: AdmissionRequest, tenant: Tenant, numTokens: number): void {
    const { maxRequests, maxTokens, maxTenantRequests, maxTenantTokens } = this.#config
    const count = sequences.length
    this.#checkQueue(
      'tenant',
      tenant.numRequests,
      count,
      limits?.maxRequests ?? maxTenantRequests,
      'requests',
    )
    this.#checkQueue('tenant', tenant.numTokens, numTokens, limits?.maxTokens ?? maxTenantTokens, 'tokens')
    this.#checkQueue('server', this.#numRequests, count, maxRequests, 'requests')
    this.#checkQueue('server', this.#numTokens, numTokens, maxTokens, 'tokens')
  }

  /** Who asks for more than an empty queue holds is let in alone: the engine says what it cannot hold. */
  #checkQueue(whose: string, held: number, more: number, limit: number, unit: string): void {
    if (held === 0 || held + more <= limit) return
    const message = `The queue of this ${whose} is full: ${held} of ${limit} ${unit} are unfinished, and this request may come to ${more}.`
    throw refusal('QUEUE_FULL', message, 1_000_000)
  }

  #checkTarget({ tenant, weight, ttftTarget, sequences }: AdmissionRequest): void {
    if (ttftTarget === undefined) return
    const numPromptTokens = sequences.reduce((sum, each) => sum + each.numPromptTokens, 0)
    const predicted = this.#waits.predict(tenant, weight, numPromptTokens)
    if (predicted === undefined || predicted <= ttftTarget * this.#config.lateFactor) return
    const message =
      `The first token is expected in ${Math.round(predicted / 1000)} ms; ` +
      `the request wants it in ${Math.round(ttftTarget / 1000)} ms.`
    throw refusal('TOO_LATE', message, predicted - ttftTarget)
  }

  #issue(
    { tenant: name, weight }: AdmissionRequest,
    { numPromptTokens }: AdmissionRequest['sequences'][number],
    size: number,
    now: Micros,
  ): Ticket {
    const tenant = this.#tenants.get(name)!
    this.#count(tenant, 1, size)
    this.#waits.noteArrival(name, weight, numPromptTokens, now)
    let isWaiting = true
    let isOpen = true
    const stopWaiting = (gotToken: boolean, at: Micros): void => {
      if (isWaiting) this.#waits.noteEnd(name, numPromptTokens, gotToken, at)
      isWaiting = false
    }
    return {
      noteFirstToken: (at) => stopWaiting(true, at),
      end: (numOutputTokens, at) => {
        if (!isOpen) return
        isOpen = false
        stopWaiting(numOutputTokens > 0, at)
        this.#count(tenant, -1, -size)
        tenant.tokens?.take(numPromptTokens + numOutputTokens - size, at)
        this.#forgetIfIdle(name, tenant)
      },
    }
  }

  #count(tenant: Tenant, numRequests: number, numTokens: number): void {
    tenant.numRequests += numRequests
    tenant.numTokens += numTokens
    this.#numRequests += numRequests
    this.#numTokens += numTokens
  }

  #tenantOf({ tenant: name, limits = noLimits }: AdmissionRequest, now: Micros): Tenant {
    let tenant = this.#tenants.get(name)
    if (tenant === undefined) {
      tenant = { numRequests: 0, numTokens: 0, requests: undefined, tokens: undefined }
      this.#tenants.set(name, tenant)
    }
    tenant.requests = bucketOf(tenant.requests, limits.requestsPerMinute, now)
    tenant.tokens = bucketOf(tenant.tokens, limits.tokensPerMinute, now)
    return tenant
  }

  /** Tenants with rates are as many as there are keys; the others can make up as many names as they like. */
  #forgetIfIdle(name: string, tenant: Tenant): void {
    const hasRates = tenant.requests !== undefined || tenant.tokens !== undefined
    if (tenant.numRequests === 0 && !hasRates) this.#tenants.delete(name)
  }
}

/** A limit that has changed begins with a full bucket. */
function bucketOf(
  bucket: TokenBucket | undefined,
  perMinute: number | undefined,
  now: Micros,
): TokenBucket | undefined {
  if (perMinute === undefined || bucket?.perMinute === perMinute)
    return perMinute === undefined ? undefined : bucket
  return new TokenBucket(perMinute, now)
}

function stateOf(bucket: TokenBucket | undefined, now: Micros): RateOf | undefined {
  if (bucket === undefined) return undefined
  const remaining = Math.max(0, Math.floor(bucket.availableAt(now)))
  return { limit: bucket.perMinute, remaining, reset: bucket.waitFor(bucket.perMinute, now) }
}

function refusal(code: ErrorCode, message: string, retryMicros: number): ServingError {
  return new ServingError(code, message, { retryAfter: micros(retryMicros) })
}
