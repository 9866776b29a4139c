import type { SequenceView } from '../scheduler/sequence.ts'
import type { WorkloadRequest } from '../workload/workload.ts'
import type { StepTimes } from './step-times.ts'

const noSteps: readonly number[] = []

/**
 * What became of one request, in the terms of a bench report: milliseconds from the start. A token comes with every
 * step while a sequence decodes, so that the numbers of the first and last step of each such stretch say when all of
 * its tokens came; a record stays small however long the answer is.
 */
export class SimulatedRecord {
  /** Position in the workload. */
  readonly index: number
  readonly tenant: string
  readonly program: string | undefined
  readonly turn: number
  readonly promptTokens: number
  readonly intendedAt: number
  readonly sentAt: number
  endedAt = 0
  cachedTokens: number | undefined = undefined
  outputTokens = 0
  error: string | undefined = undefined
  numPreemptions = 0
  /** Which engine it ran on. */
  engine = 0
  readonly #wantedOutput: number
  /** First and last step of each. Most answers have one. */
  #stretches: readonly number[] = noSteps
  #steps: StepTimes | undefined
  #answerMicros = 0

  constructor(index: number, request: WorkloadRequest, dueAt: number) {
    this.index = index
    this.tenant = request.tenant
    this.program = request.program
    this.turn = request.turn
    this.promptTokens = request.numPromptTokens
    this.#wantedOutput = request.numOutputTokens
    this.intendedAt = dueAt / 1000
    this.sentAt = dueAt / 1000
  }

  /** Where its instants are found, and how much later than a step's end its client sees them. */
  bind(engine: number, steps: StepTimes, answerMicros: number): void {
    this.engine = engine
    this.#steps = steps
    this.#answerMicros = answerMicros
  }

  /** It got a token in step `step`, and gets one in every step after that. */
  startStretch(step: number): void {
    this.#stretches = [...this.#stretches, step]
  }

  /** Step `step` was the last of them. */
  endStretch(step: number): void {
    this.#stretches = [...this.#stretches, step]
  }

  finish({ numOutputTokens, numCachedTokens, numPreemptions }: SequenceView): void {
    this.outputTokens = numOutputTokens
    this.cachedTokens = numCachedTokens
    this.numPreemptions = numPreemptions
  }

  /** What the workload asked for. */
  get wanted(): { readonly promptTokens: number; readonly outputTokens: number } {
    return { promptTokens: this.promptTokens, outputTokens: this.#wantedOutput }
  }

  /** The first step that it has a token from; undefined before there is one. */
  get firstStep(): number | undefined {
    return this.#stretches[0]
  }

  /** Its steps are told of all gaps between its tokens, without a look at each. */
  noteGaps(): void {
    const stretches = this.#stretches
    const steps = this.#steps!
    for (let index = 0; index < stretches.length; index += 2) {
      const [first, last] = [stretches[index]!, stretches[index + 1]!]
      if (index > 0) steps.onGaps?.(steps.at(first) - steps.at(stretches[index - 1]!), 1)
      steps.noteStream(first, last)
    }
  }

  get isStreaming(): boolean {
    return this.#stretches.length % 2 === 1
  }

  get firstTokenAt(): number | undefined {
    const first = this.#stretches[0]
    return first === undefined ? undefined : this.#instant(first)
  }

  get maxGap(): number | undefined {
    let longest: number | undefined
    const times = this.tokenTimes
    for (let index = 1; index < times.length; index += 1) {
      longest = Math.max(longest ?? 0, times[index]! - times[index - 1]!)
    }
    return longest
  }

  /** Made anew each time. */
  get tokenTimes(): readonly number[] {
    const times = Array<number>(this.#numTokens)
    let count = 0
    for (let index = 0; index < this.#stretches.length; index += 2) {
      const last = this.#stretches[index + 1]!
      for (let step = this.#stretches[index]!; step <= last; step += 1) times[count++] = this.#instant(step)
    }
    return times
  }

  get #numTokens(): number {
    return this.#stretches.reduce((sum, step, index) => sum + (index % 2 === 0 ? -step : step + 1), 0)
  }

  #instant(step: number): number {
    return (this.#steps!.at(step) + this.#answerMicros) / 1000
  }
}
