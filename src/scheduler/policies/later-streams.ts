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
  const { streams, yielding, promised, due } = sortOut(rules, running)
  if (yielding.length === 0) return []
  const isNextPromised = next !== undefined && !rules.classOf(next).yields
  if (isNextPromised) promised.set(rules.classOf(next), next)
  const wanted = numWanted(rules, isNextPromised ? [...due, next] : due, { next, outlook })
  if (outlook.promptTokensBeside(streams.count, streams.numKeys) >= wanted) return []
  // A target that is broken without them too binds nobody.
  const yieldingKeys = yielding.reduce((sum, { tokens }) => sum + tokens.length, 0)
  if (outlook.promptTokensBeside(streams.count - yielding.length, streams.numKeys - yieldingKeys) < 0)
    return []
  const standBack = yielding.filter(standsBackFor([...promised.values()], rules))
  standBack.sort((a, b) => a.numStepsMissed - b.numStepsMissed)
  // In turns, not all at once.
  const numServed = Math.ceil(standBack.length / (mostStepsMissed + 1))
  return standBack
    .slice(0, standBack.length - numServed)
    .filter(({ numStepsMissed }) => numStepsMissed < mostStepsMissed)
}

/** Whether one of `claimants` goes ahead of it; looked up once for each class. */
function standsBackFor(claimants: readonly SequenceView[], rules: LaterRules) {
  const answers = new Map<ServiceClass, boolean>()
  return (stream: SequenceView): boolean => {
    const serviceClass = rules.classOf(stream)
    let answer = answers.get(serviceClass)
    if (answer === undefined) {
      answer = claimants.some((other) => rules.goesAhead(other, stream))
      answers.set(serviceClass, answer)
    }
    return answer
  }
}

/** One look at all that run: this is asked before every step. */
function sortOut(rules: LaterRules, running: readonly SequenceView[]) {
  const streams = { count: 0, numKeys: 0 }
  const yielding: SequenceView[] = []
  /** One of each class that does not yield. */
  const promised = new Map<ServiceClass, SequenceView>()
  /** Those of such classes whose prompts are under way. */
  const due: SequenceView[] = []
  for (const each of running) {
    const serviceClass = rules.classOf(each)
    const isStream = each.tokens.length - each.numComputedTokens === 1
    if (isStream) {
      streams.count += 1
      streams.numKeys += each.tokens.length
    }
    if (!serviceClass.yields) promised.set(serviceClass, each)
    if (isStream && serviceClass.yields) yielding.push(each)
    else if (!isStream && !serviceClass.yields) due.push(each)
  }
  return { streams, yielding, promised, due }
}

/** Prompt tokens that this step should have, so that the first tokens of `due`, and of who waits behind `next`, come in time. */
function numWanted(
  rules: LaterRules,
  due: readonly SequenceView[],
  { next, outlook }: { readonly next: SequenceView | undefined; readonly outlook: StepOutlook },
): number {
  const { now, target } = outlook
  let numTokens = 0
  let slack = Infinity
  for (const each of due) {
    slack = Math.min(slack, rules.dueAt(each, now) - now)
    numTokens += each === next ? rules.numWaitingTokens() : each.tokens.length - each.numComputedTokens
  }
  if (numTokens === 0) return 0
  return slack <= target ? numTokens : (numTokens * target) / slack
}
