import type { GrammarSpec } from './grammar-spec.ts'
import type { SamplingParams } from './sampling-params.ts'
import type { TokenList } from './token-list.ts'
import type { Micros, RequestId } from './units.ts'

/** Why a sequence ended. `cancelled`: somebody asked; `error`: see the message beside it. */
export type FinishReason = 'stop' | 'length' | 'cancelled' | 'error'

/** Who asks and how urgent it is: all of a request, beside its lengths, that decides when it runs. */
export interface ServiceTerms {
  /** Who is accounted. */
  readonly tenant: string
  /** The tenant's share of service against others'; above 0. */
  readonly weight: number
  /** The series of requests of one agent or conversation, a name within the tenant; undefined: it stands alone. */
  readonly program: string | undefined
  /** When the program's first request arrived; undefined without a program. */
  readonly programStartedAt: Micros | undefined
  /** Name of a service class. One that the scheduler does not know counts as the default one. */
  readonly serviceClass: string
  /** Within class and tenant, lower is sooner; 0 is usual. */
  readonly priority: number
  /** When the whole program should be done; undefined: no matter. */
  readonly deadline: Micros | undefined
  /** Requests of the program still to come after this one, as far as the client says. */
  readonly stagesLeft: number | undefined
}

/** Of a request that says nothing about itself. */
export const plainTerms: ServiceTerms = {
  tenant: 'default',
  weight: 1,
  program: undefined,
  programStartedAt: undefined,
  serviceClass: 'default',
  priority: 0,
  deadline: undefined,
  stagesLeft: undefined,
}

/** What a request wishes of the prefix cache. */
export interface CacheTerms {
  /** Only requests of the same salt share KV with this one. */
  readonly cacheSalt?: string | undefined
  /**
   * How long its KV should stay after use, as a multiple of what is usual (1). A wish: it loses its weight as other
   * requests come and go.
   */
  readonly cacheRetention?: number | undefined
}

/** Samples that race one another. */
export interface Race {
  /** The same for all of them, and for nobody else. */
  readonly name: string
  /** When so many have finished, the others are cancelled with that step. */
  readonly numWinners: number
}

/** How hidden states become the vector of a text: their mean, the last one, or the first (as encoders do). */
export type Pooling = 'mean' | 'last' | 'cls'

/** Whether a sequence must see all its states itself: what comes out of the prefix cache has none. */
export const needsAllStates = (pooling: Pooling | undefined): boolean =>
  pooling === 'mean' || pooling === 'cls'

/** One sequence to generate, as a scheduler looks at it. */
export interface ScheduledRequest extends ServiceTerms, CacheTerms {
  readonly id: RequestId
  readonly promptTokens: TokenList
  /** Tokens already generated for this request (it continues after a crash or a move); usually empty. */
  readonly outputTokens: readonly number[]
  readonly sampling: SamplingParams
  /** Upper bound of generated tokens, `outputTokens` included. */
  readonly maxTokens: number
  /** Tokens that end the sequence; the model's own end tokens are added by the engine unless `ignoreEos`. */
  readonly stopTokenIds: readonly number[]
  readonly ignoreEos: boolean
  readonly race?: Race | undefined
  /** What the text of `outputTokens` and of all that follows must look like. */
  readonly grammar?: GrammarSpec | undefined
  /** The sequence ends with its prompt, and with a vector in place of tokens. */
  readonly pooling?: Pooling | undefined
  /** When the server received it. */
  readonly arrivedAt: Micros
}

/**
 * One sequence to generate, as an engine receives it: tokens in, tokens out. `n` samples are `n` of these.
 * Stop *strings* are not here: whoever detokenises finds them and cancels.
 */
export interface GenerationRequest extends ScheduledRequest {
  readonly promptTokens: readonly number[]
}
