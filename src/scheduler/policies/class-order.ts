import { defaultServiceClasses, type ServiceClass } from '../../core/service-class.ts'
import type { Micros } from '../../core/units.ts'
import type { PolicyOptions, Served, StepOutlook } from '../policy.ts'
import { ClassQueue } from '../queues/class-queue.ts'
import type { Sequence, SequenceView } from '../sequence.ts'
import type { WaitingQueue } from '../waiting-queue.ts'
import { defaultPrices, FairShare } from './fair-share.ts'
import { pickLater, type LaterRules } from './later-streams.ts'

/** Weighted tokens over weight by which a class may get ahead of another that waits. */
const mostDebt = 4096

/**
 * Order among service classes. Who goes first, by the first rule that tells two apart:
 *
 * 1. a class that is at most `mostDebt` ahead of each other that waits;
 * 2. the request whose first token is due first by its class's target; one that is late is due as long from now as
 *    its class was promised: before work that need not hurry, behind what would be late too.
 *
 * Rule 1 bounds starvation: while a request waits at the head of a class of weight w, every other class x of weight
 * w_x gains at most w_x mostDebt weighted tokens and one request before it is too far ahead, and from then on only what
 * runs already. One that waits behind j others of its class, each costing at most C, is admitted after the others have
 * gained at most the sum over x of w_x (mostDebt + j C / w), and (N + 1) C for N running.
 *
 * The same two rules say whose prompt goes on first, and whether a stream comes before it (`later-streams.ts`).
 */
export class ClassOrder<Queue extends WaitingQueue> {
  readonly queue: ClassQueue<Queue>
  readonly #classes: ReadonlyMap<string, ServiceClass>
  readonly #default: ServiceClass
  readonly #share: FairShare
  readonly #laterRules: LaterRules = {
    classOf: (sequence) => this.classOf(sequence),
    goesAhead: (next, other) => this.goesAhead(next, other),
    dueAt: (sequence, now) => dueAt(sequence, this.classOf(sequence), now),
    numWaitingTokens: () => {
      let numTokens = 0
      for (const { name, yields } of this.#classes.values())
        if (!yields) numTokens += this.queue.numTokensOf(name)
      return numTokens
    },
  }

  constructor(options: PolicyOptions, createQueue: (className: string) => Queue) {
    const classes = options.serviceClasses ?? defaultServiceClasses
    this.#classes = new Map(classes.map((each) => [each.name, each]))
    this.#default = classes[0] ?? defaultServiceClasses[0]!
    this.#share = new FairShare({
      prices: options.prices ?? defaultPrices,
      nameOf: (sequence) => this.classOf(sequence).name,
      weightOf: (sequence) => this.classOf(sequence).weight,
      isWaiting: (name) => this.queue.has(name),
    })
    this.queue = new ClassQueue({
      classOf: (sequence) => this.classOf(sequence).name,
      compareHeads: (a, b, now) => this.#compareHeads(a, b, now),
      createQueue,
      onOpen: (sequence) => this.#share.open(sequence, this.#leastWaiting(), 2 * mostDebt),
    })
  }

  classOf({ request }: SequenceView): ServiceClass {
    return this.#classes.get(request.serviceClass) ?? this.#default
  }

  onAdmitted(sequence: SequenceView): void {
    this.#share.admit(sequence)
  }

  onServed(served: Served): void {
    this.#share.serve(served)
  }

  onFinished(sequence: SequenceView): void {
    this.#share.finish(sequence)
  }

  /** The tightest time between tokens that anybody of `running` was promised. */
  stepTarget(running: readonly SequenceView[]): Micros | undefined {
    let tightest: Micros | undefined
    for (const sequence of running) {
      const { tbtTarget } = this.classOf(sequence)
      if (tbtTarget !== undefined && (tightest === undefined || tbtTarget < tightest)) tightest = tbtTarget
    }
    return tightest
  }

  /** Those of the loosest class: the ones to look for a victim among. A class that yields is looser than all others. */
  loosestOf(running: readonly SequenceView[]): readonly SequenceView[] {
    let loosest = this.classOf(running[0]!)
    for (const sequence of running) {
      const each = this.classOf(sequence)
      if (isLooser(each, loosest)) loosest = each
    }
    return running.filter((sequence) => this.classOf(sequence) === loosest)
  }

  /** The last admitted of the loosest class that yields to that of `next`, which does not owe it. */
  pickYielding(next: SequenceView, running: readonly SequenceView[]): SequenceView | undefined {
    const own = this.classOf(next)
    let yielding: SequenceView | undefined
    let loosest = own
    for (const sequence of running) {
      const each = this.classOf(sequence)
      if (!each.yields || each.ttftTarget <= own.ttftTarget || each.ttftTarget < loosest.ttftTarget) continue
      if (this.#owes(own, each)) continue
      loosest = each
      yielding = sequence
    }
    return yielding
  }

  /** See `later-streams.ts`. */
  pickLater(
    running: readonly SequenceView[],
    next: SequenceView | undefined,
    outlook: StepOutlook,
  ): readonly SequenceView[] {
    return pickLater(this.#laterRules, running, next, outlook)
  }

  /** Its prompt before what a looser class has in the step, unless it owes that class. */
  goesAhead(next: SequenceView, other: SequenceView): boolean {
    const [own, each] = [this.classOf(next), this.classOf(other)]
    return isLooser(each, own) && !this.#owes(own, each)
  }

  /** Tighter classes first, but those that owe the one furthest behind last; then who missed most steps. */
  sortForStep<Each extends SequenceView>(sequences: Each[]): Each[] {
    if (sequences.length < 2) return sequences
    const byClass = new Map<ServiceClass, Each[]>()
    for (const sequence of sequences) {
      const serviceClass = this.classOf(sequence)
      const same = byClass.get(serviceClass)
      if (same === undefined) byClass.set(serviceClass, [sequence])
      else same.push(sequence)
    }
    const counters = [...byClass.keys()].map(({ name }) => this.#share.counterOf(name))
    const most = Math.min(...counters) + mostDebt
    const isAhead = ({ name }: ServiceClass): number => Number(this.#share.counterOf(name) > most)
    return [...byClass]
      .sort(([a], [b]) => isAhead(a) - isAhead(b) || compareTightness(a, b))
      .flatMap(([, same]) => same.sort((a, b) => b.numStepsMissed - a.numStepsMissed))
  }

  #compareHeads(a: Sequence, b: Sequence, now: Micros): number {
    const [first, second] = [this.classOf(a), this.classOf(b)]
    const most = (this.#leastWaiting() ?? 0) + mostDebt
    const isAhead = Number(this.#counterOf(a) > most) - Number(this.#counterOf(b) > most)
    if (isAhead !== 0) return isAhead
    const [dueFirst, dueSecond] = [dueAt(a, first, now), dueAt(b, second, now)]
    return dueFirst === dueSecond ? 0 : dueFirst < dueSecond ? -1 : 1
  }

  #counterOf(sequence: SequenceView): number {
    return this.#share.counterOf(this.classOf(sequence).name)
  }

  #owes(debtor: ServiceClass, creditor: ServiceClass): boolean {
    return this.#share.counterOf(debtor.name) > this.#share.counterOf(creditor.name) + mostDebt
  }

  #leastWaiting(): number | undefined {
    let least: number | undefined
    for (const name of this.#classes.keys()) {
      if (!this.queue.has(name)) continue
      const counter = this.#share.counterOf(name)
      if (least === undefined || counter < least) least = counter
    }
    return least
  }
}

/** When its first token is due. Once it has come, a class that yields waits for the rest; any other never waits. */
function dueAt(sequence: SequenceView, { ttftTarget, yields }: ServiceClass, now: Micros): number {
  const { request, firstTokenAt } = sequence
  if (firstTokenAt !== undefined) return yields ? Infinity : -Infinity
  const due = request.arrivedAt + ttftTarget
  return due < now ? now + ttftTarget : due
}

function compareTightness(a: ServiceClass, b: ServiceClass): number {
  return a.yields === b.yields ? a.ttftTarget - b.ttftTarget : Number(a.yields) - Number(b.yields)
}

function isLooser(a: ServiceClass, b: ServiceClass): boolean {
  return compareTightness(a, b) > 0
}
