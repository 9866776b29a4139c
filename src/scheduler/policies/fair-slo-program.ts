import type { PolicyOptions, SchedulingPolicy } from '../policy.ts'
import type { LaneQueue } from '../queues/lane-queue.ts'
import type { SequenceView } from '../sequence.ts'
import { ClassOrder } from './class-order.ts'
import { TenantOrder } from './tenant-order.ts'

/** As many as an agent's task usually takes: with that, programs of one tenant end one after the other. */
const requestsPerPlace = 16

/**
 * The default: latency classes by their targets; inside a class, tenants by what they were served; inside a tenant,
 * programs by when they began, in places of a usual task's size. docs/scheduling.md says
 * in which order the rules speak.
 */
export function fairSloProgram(options: PolicyOptions = {}): SchedulingPolicy {
  const orders = new Map<string, TenantOrder>()
  const classes = new ClassOrder<LaneQueue>(options, (className) => {
    const order = new TenantOrder(options, requestsPerPlace)
    orders.set(className, order)
    return order.queue
  })
  const orderOf = (sequence: SequenceView): TenantOrder => {
    const { name } = classes.classOf(sequence)
    if (!orders.has(name)) classes.queue.queueOf(name)
    return orders.get(name)!
  }
  const sameClass = (running: readonly SequenceView[], as: SequenceView): SequenceView[] =>
    running.filter((each) => classes.classOf(each) === classes.classOf(as))
  return {
    name: 'fair+slo+program',
    knowsPrograms: true,
    createQueue: () => classes.queue,
    pickVictim(running) {
      const loosest = classes.loosestOf(running)
      return orderOf(loosest[0]!).pickVictim(loosest)
    },
    pickYielding: (next, running) =>
      classes.pickYielding(next, running) ?? orderOf(next).pickYielding(next, sameClass(running, next)),
    goesAhead: (next, other) =>
      classes.goesAhead(next, other) ||
      (classes.classOf(next) === classes.classOf(other) && orderOf(next).goesAhead(next, other)),
    pickLater: (running, next, outlook) => classes.pickLater(running, next, outlook),
    sortForStep: (sequences) => classes.sortForStep(sequences),
    stepTarget: (running) => classes.stepTarget(running),
    onAdmitted(sequence) {
      classes.onAdmitted(sequence)
      orderOf(sequence).onAdmitted(sequence)
    },
    onFinished(sequence) {
      classes.onFinished(sequence)
      orderOf(sequence).onFinished(sequence)
    },
    onStepEnd({ served }) {
      for (const each of served) {
        classes.onServed(each)
        orderOf(each.sequence).onServed(each)
      }
    },
  }
}
