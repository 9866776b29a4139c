import type { PolicyOptions, SchedulingPolicy } from '../policy.ts'
import { HeapQueue } from '../queues/heap-queue.ts'
import type { SequenceView } from '../sequence.ts'
import { ClassOrder } from './class-order.ts'

/**
 * Latency classes by their targets (`class-order.ts`); inside a class by priority, then by arrival, whoever ran
 * before first. Steps are kept as short as the tightest stream that runs was promised.
 */
export function slo(options: PolicyOptions = {}): SchedulingPolicy {
  const classes = new ClassOrder(options, () => new HeapQueue(withinClass))
  return {
    name: 'slo',
    createQueue: () => classes.queue,
    pickVictim: (running) => classes.loosestOf(running).at(-1),
    pickYielding: (next, running) => classes.pickYielding(next, running),
    goesAhead: (next, other) => classes.goesAhead(next, other),
    pickLater: (running, next, outlook) => classes.pickLater(running, next, outlook),
    sortForStep: (sequences) => classes.sortForStep(sequences),
    stepTarget: (running) => classes.stepTarget(running),
    onAdmitted: (sequence) => classes.onAdmitted(sequence),
    onFinished: (sequence) => classes.onFinished(sequence),
    onStepEnd({ served }) {
      for (const each of served) classes.onServed(each)
    },
  }
}

function withinClass(a: SequenceView, b: SequenceView): number {
  const byAdmission = Number(b.status === 'preempted') - Number(a.status === 'preempted')
  return byAdmission || a.request.priority - b.request.priority
}
