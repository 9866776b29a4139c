import type { StepResult } from '../executor/executor.ts'
import type { StepTimes } from '../profile/step-times.ts'
import type { StepPlan } from '../scheduler/step-plan.ts'
import type { StepWork } from '../scheduler/step-work.ts'
import type { StepStopwatch } from '../telemetry/step-profile.ts'

/** A finished step as a profile notes it: the loop's laps, and within them what the executor tells. */
export function stepTimes(
  plan: StepPlan,
  stopwatch: StepStopwatch,
  { buildMicros, computeMicros, kernels = [] }: StepResult,
  work: StepWork,
): StepTimes {
  const scheduledAt = stopwatch.endOf('schedule')
  const readAt = stopwatch.endOf('wait')
  const builtAt = Math.min(readAt, scheduledAt + buildMicros / 1000)
  let numSamples = 0
  let keysRead = 0
  for (const { position, tokens, samples } of plan.entries) {
    if (samples) numSamples += 1
    keysRead += position + tokens.length
  }
  return {
    step: plan.step,
    startedAt: stopwatch.startedAt,
    scheduledAt,
    builtAt,
    computedAt: Math.min(readAt, builtAt + computeMicros / 1000),
    readAt,
    endedAt: stopwatch.endOf('sample'),
    emit: [stopwatch.endOf('launch'), stopwatch.endOf('emit')],
    kernels,
    work: { numSamples, keysRead, ...work },
  }
}
