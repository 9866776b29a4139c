import type { ServiceClass } from '../core/service-class.ts'
import type { Micros } from '../core/units.ts'
import type { SequenceView } from './sequence.ts'
import type { WaitingQueue } from './waiting-queue.ts'

/**
 * Decides order and victims; never allocates, never changes a sequence. A new policy is one file in `policies/`
 * and one line in its registry; the contract suite then runs on it. One object serves one scheduler.
 */
export interface SchedulingPolicy {
  readonly name: string
  /**
   * Programs matter to it: requests that continue a finished one are found to belong to its program, and the KV of
   * programs that pause is worth more for a time.
   */
  readonly knowsPrograms?: boolean
  /** The queue, empty, that the one scheduler of this policy keeps its waiting sequences in. Called once. */
  createQueue(): WaitingQueue
  /**
   * Who gives up its blocks when one of `running` (in order of admission, never empty) needs one. Undefined leaves
   * it to the one that needs it.
   */
  pickVictim(running: readonly SequenceView[]): SequenceView | undefined
  /**
   * Who gives up its place to `next`, which is first in line and finds none. Undefined: `next` waits. Must not lead
   * back to where it began before somebody has got a new token.
   */
  pickYielding?(next: SequenceView, running: readonly SequenceView[]): SequenceView | undefined
  /**
   * Streams among `running` that get their next token behind what goes ahead of them in `sortForStep`, as far as the
   * step then bears them, and not first of all. `next`: the first in line.
   */
  pickLater?(
    running: readonly SequenceView[],
    next: SequenceView | undefined,
    outlook: StepOutlook,
  ): readonly SequenceView[]
  /** Sorts those that share what streams leave of a step, given in order of admission, and returns them. */
  sortForStep?<Each extends SequenceView>(sequences: Each[]): Each[]
  /** `next`, first in line, may take its part of a step before that of `other`, which runs. */
  goesAhead?(next: SequenceView, other: SequenceView): boolean
  /** Longest step that the streams of `running` bear; undefined: any. */
  stepTarget?(running: readonly SequenceView[]): Micros | undefined
  /** It left the queue to run; `numComputedTokens` of it have KV already. */
  onAdmitted?(sequence: SequenceView): void
  /** It ended, in whatever way and from wherever it was. */
  onFinished?(sequence: SequenceView): void
  /** Once a step, or once for several alike, after their tokens are appended and before anybody ends with them. */
  onStepEnd?(step: StepService): void
}

/** What is known of a step before it is planned. */
export interface StepOutlook {
  readonly now: Micros
  /** How long the step is to take, at most. */
  readonly target: Micros
  /**
   * Prompt tokens that it is predicted to bear beside so many streams, which look at so many keys together; negative
   * when it does not bear the streams.
   */
  promptTokensBeside(numStreams: number, numKeys: number): number
}

/** Who was served in a step, or in several one after the other that only decoded for the same sequences. */
export interface StepService {
  readonly now: Micros
  /** How long each took, in microseconds; empty when that says nothing. */
  readonly durations: readonly number[]
  /** Not to be kept: the next step's are told in the same objects. */
  readonly served: readonly Served[]
}

export interface Served {
  readonly sequence: SequenceView
  /** Tokens at [position, position + numTokens) were computed. */
  readonly position: number
  readonly numTokens: number
  /** Tokens that it sampled. */
  readonly numSamples: number
}

/** What policies may be told; all have defaults. */
export interface PolicyOptions {
  readonly serviceClasses?: readonly ServiceClass[] | undefined
  readonly prices?: TokenPrices | undefined
  /** Weighted tokens by which a tenant may fall behind so that a prompt with cached tokens goes first; 0: never. */
  readonly localityTokens?: number | undefined
  /** How many of a waiting sequence's tokens the prefix cache holds now. */
  readonly numCachedTokens?: ((sequence: SequenceView) => number) | undefined
}

/** What a token counts in the accounts of fair policies. */
export interface TokenPrices {
  readonly prompt: number
  /** Of a prompt token that the prefix cache had. */
  readonly cached: number
  readonly output: number
}
