import { defaultServiceClasses, type ServiceClass } from '../../core/service-class.ts'
import type { Micros } from '../../core/units.ts'
import type { PolicyOptions, Served } from '../policy.ts'
import { ClassQueue } from '../queues/class-queue.ts'
import type { Sequence, SequenceView } from '../sequence.ts'
import type { WaitingQueue } from '../waiting-queue.ts'
import { defaultPrices, FairShare } from './fair-share.ts'

/** Weighted tokens over weight by which a class may fall behind before urgency no longer counts. */
const mostDebt = 4096

/**
 * Order among service classes. Who goes first, by the first rule that tells two apart:
 *
 * 1. a class that is owed: by `mostDebt` further behind its share than the class furthest ahead; most owed first;
 * 2. a request that can still meet its class's time to first token, the one due first;
 * 3. of those that cannot, the class with the tightest target.
 *
 * Rule 1 bounds starvation: while a request waits at the head of a class of weight w, every other class x of weight
 * w_x gains at most w_x mostDebt weighted tokens before the class is owed, and from then on only what runs already.
 * One that waits behind j others of its class, each costing at most C, is admitted after the others have gained at
 * most the sum over x of w_x (mostDebt + j C / w), and (N + 1) C for N running.
 */
export class ClassOrder<Queue extends WaitingQueue> {
  readonly queue: ClassQueue<Queue>
  readonly #classes: ReadonlyMap<string, ServiceClass>
  readonly #default: ServiceClass
  readonly #share: FairShare

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

  /** The last admitted of the loosest class that yields to that of `next` and is not owed. */
  pickYielding(next: SequenceView, running: readonly SequenceView[]): SequenceView | undefined {
    const own = this.classOf(next)
    let yielding: SequenceView | undefined
    let loosest = own
    for (const sequence of running) {
      const each = this.classOf(sequence)
      if (!each.yields || each.ttftTarget <= own.ttftTarget || each.ttftTarget < loosest.ttftTarget) continue
      if (this.#isOwed(each.name, this.#share.highestCounter)) continue
      loosest = each
      yielding = sequence
    }
    return yielding
  }

  /** Before looser classes that are not owed. */
  goesAhead(next: SequenceView, prefilling: readonly SequenceView[]): boolean {
    const own = this.classOf(next)
    const highest = this.#share.highestCounter
    return prefilling.every((sequence) => {
      const each = this.classOf(sequence)
      return isLooser(each, own) && !this.#isOwed(each.name, highest)
    })
  }

  #compareHeads(a: Sequence, b: Sequence, now: Micros): number {
    const [first, second] = [this.classOf(a), this.classOf(b)]
    const highest = this.#share.highestCounter
    const owedFirst = this.#isOwed(first.name, highest)
    const owedSecond = this.#isOwed(second.name, highest)
    if (owedFirst !== owedSecond) return owedFirst ? -1 : 1
    if (owedFirst) return this.#share.counterOf(first.name) - this.#share.counterOf(second.name)
    const [dueFirst, dueSecond] = [dueAt(a, first), dueAt(b, second)]
    const missed = Number(isMissed(dueFirst, now)) - Number(isMissed(dueSecond, now))
    if (missed !== 0) return missed
    if (isMissed(dueFirst, now) && first !== second) return first.ttftTarget - second.ttftTarget
    return dueFirst === dueSecond ? 0 : dueFirst < dueSecond ? -1 : 1
  }

  #isOwed(name: string, highest: number): boolean {
    return this.#share.counterOf(name) + mostDebt < highest
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
function dueAt({ request, firstTokenAt }: SequenceView, { ttftTarget, yields }: ServiceClass): number {
  if (firstTokenAt !== undefined) return yields ? Infinity : -Infinity
  return request.arrivedAt + ttftTarget
}

function isMissed(due: number, now: Micros): boolean {
  return due < now && due !== -Infinity
}

function isLooser(a: ServiceClass, b: ServiceClass): boolean {
  return a.yields === b.yields ? a.ttftTarget > b.ttftTarget : a.yields
}
