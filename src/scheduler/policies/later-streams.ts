import type { ServiceClass } from '../../core/service-class.ts'
import type { Micros } from '../../core/units.ts'
import type { StepOutlook } from '../policy.ts'
import type { SequenceView } from '../sequence.ts'

/** Whoever runs gets a token in one of so many steps. */
const mostStepsMissed = 15

export interface LaterRules {
  classOf(sequence: SequenceView): ServiceClass
  /** Tokens of all that wait in classes that do not yield. */
  numWaitingTokens(): number
  goesAhead(next: SequenceView, other: SequenceView): boolean
  dueAt(sequence: SequenceView, now: Micros): number
}

/**
 * Streams of classes that yield stand back when a step with all of them would break a promise to a class that does
 * not: its time between tokens, or its time to first token. That is, when steps with all streams bear fewer prompt
 * tokens than all first tokens that are owed need, each step its part of the time that the most urgent one has left.
 * They keep places and blocks, and get what the step bears once those prompts have their part; whoever missed most
 * steps goes first.
 *
 * Bounds: nobody misses more than 15 steps in a row, so that R tokens take 16 R steps at most; and nobody stands back
 * for a class that owes its own (`class-order.ts`).
 */
export function pickLater(
  rules: LaterRules,
  running: readonly SequenceView[],
  next: SequenceView | undefined,
  outlook: StepOutlook,
): readonly SequenceView[] {
  const streams = running.filter((each) => isStream(each))
  const yielding = streams.filter((each) => rules.classOf(each).yields)
  if (yielding.length === 0) return []
  const promised = running.filter((each) => !rules.classOf(each).yields)
  if (next !== undefined && !rules.classOf(next).yields) promised.push(next)
  const numBorne = beside(streams, outlook)
  if (numBorne >= numWanted(rules, promised, next, outlook)) return []
  // A target that is broken without them too binds nobody.
  if (
    beside(
      streams.filter((each) => !rules.classOf(each).yields),
      outlook,
    ) < 0
  )
    return []
  const standBack = yielding.filter((each) => promised.some((other) => rules.goesAhead(other, each)))
  standBack.sort((a, b) => a.numStepsMissed - b.numStepsMissed)
  // In turns, not all at once.
  const numServed = Math.ceil(standBack.length / (mostStepsMissed + 1))
  return standBack
    .slice(0, standBack.length - numServed)
    .filter(({ numStepsMissed }) => numStepsMissed < mostStepsMissed)
}

/** Prompt tokens that this step should have, so that first tokens come in time. */
function numWanted(
  rules: LaterRules,
  promised: readonly SequenceView[],
  next: SequenceView | undefined,
  { now, target }: StepOutlook,
): number {
  let numTokens = 0
  let slack = Infinity
  for (const each of promised) {
    if (isStream(each)) continue
    slack = Math.min(slack, rules.dueAt(each, now) - now)
    if (each !== next) numTokens += each.tokens.length - each.numComputedTokens
  }
  if (promised.includes(next!)) numTokens += rules.numWaitingTokens()
  if (numTokens === 0) return 0
  return slack <= target ? numTokens : (numTokens * target) / slack
}

function beside(streams: readonly SequenceView[], outlook: StepOutlook): number {
  const numKeys = streams.reduce((sum, { tokens }) => sum + tokens.length, 0)
  return outlook.promptTokensBeside(streams.length, numKeys)
}

function isStream({ tokens, numComputedTokens }: SequenceView): boolean {
  return tokens.length - numComputedTokens === 1
}
