/** What a profile notes of a step: instants in milliseconds of one clock, and what the step did. Pure. */

/** Kernels of some layers, or of what comes behind them. */
export interface KernelTime {
  readonly name: string
  readonly micros: number
}

/** From `startedAt` on each instant is the end of a part: what lies between two of them is all there is. */
export interface StepTimes {
  readonly step: number
  readonly startedAt: number
  /** Messages taken in, the step planned. */
  readonly scheduledAt: number
  /** The graph found or built, its inputs filled. */
  readonly builtAt: number
  /** The kernels are done. */
  readonly computedAt: number
  /** Their results are seen by JavaScript. */
  readonly readAt: number
  /** Tokens chosen, sequences brought up to date. */
  readonly endedAt: number
  /** Handing out what the step before produced, while kernels run. */
  readonly emit: readonly [from: number, to: number]
  /** In their order; what is left of the time between `builtAt` and `computedAt` is the last one's. */
  readonly kernels: readonly KernelTime[]
  readonly work: ProfiledWork
}

export interface ProfiledWork {
  readonly numDecodes: number
  readonly numPrefillTokens: number
  readonly numSamples: number
  /** The sum over all computed tokens of the tokens that each looks at. */
  readonly attendedKeys: number
  /** Tokens whose KV is read, once for each sequence. */
  readonly keysRead: number
}

/** Time without a step: nobody asks for anything, or blocks are on their way from or to a tier. */
export type WaitKind = 'idle' | 'blocks'

/** What was profiled. */
export interface ProfileHeader {
  readonly format: 'switchyard-profile/1'
  readonly modelPath: string
  readonly device: string
  readonly numThreads: number
  readonly kvBytesPerToken: number
}
