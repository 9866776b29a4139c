import type { StepPlan } from '../../scheduler/step-plan.ts'

/** How long everything takes on some machine, in microseconds. */
export interface LatencyModel {
  readonly name: string
  /** From one step's beginning to the next one's, the JavaScript of both included. */
  stepMicros(work: StepShape): number
  /** From sending a request to its being in the engine's queue. */
  requestMicros(numPromptTokens: number): number
  /** From the end of a step to its tokens being with the client. */
  readonly answerMicros: number
}

/** What a step's time depends on. */
export interface StepShape {
  /** Sequences in it. */
  readonly numSequences: number
  /** Those whose last row is turned into a token. */
  readonly numSamples: number
  /** All tokens computed: rows of the matrix products. */
  readonly numTokens: number
  /** Sequences that compute more than one token. */
  readonly numChunks: number
  /** Sum over tokens of the keys that each looks at, of sequences that compute one token, and of chunks. */
  readonly decodeKeys: number
  readonly prefillKeys: number
  /** Sum over chunks of the keys that some of their tokens look at: what is read however many they are. */
  readonly chunkKeys: number
}

export function shapeOf({ entries, numTokens }: Pick<StepPlan, 'entries' | 'numTokens'>): {
  -readonly [Field in keyof StepShape]: StepShape[Field]
} {
  let numSamples = 0
  let numChunks = 0
  let decodeKeys = 0
  let prefillKeys = 0
  let chunkKeys = 0
  for (const { tokens, position, samples } of entries) {
    const { length } = tokens
    if (samples) numSamples += 1
    if (length === 1) decodeKeys += position + 1
    else {
      numChunks += 1
      prefillKeys += length * position + (length * (length + 1)) / 2
      chunkKeys += position + length
    }
  }
  return {
    numSequences: entries.length,
    numSamples,
    numTokens,
    numChunks,
    decodeKeys,
    prefillKeys,
    chunkKeys,
  }
}
