/** What `switchyard tune` may be asked to make better, as one number of a run's figures. */
import type { TargetFigures } from '../bench/bench-report.ts'

export interface TuneGoal {
  readonly about: string
  readonly unit: string
  /** Undefined where the run has no such figure. */
  valueOf(figures: TargetFigures): number | undefined
  readonly isLessBetter: boolean
}

export const tuneGoals = {
  goodput: {
    about: 'requests a second that keep the goals',
    unit: 'requests/s',
    valueOf: ({ goodput }) => goodput?.requestsPerSecond,
    isLessBetter: false,
  },
  'ttft-p99': {
    about: 'the 99th percentile of the time to first token',
    unit: 'ms',
    valueOf: ({ ttftMs }) => ttftMs?.p99,
    isLessBetter: true,
  },
  jain: {
    about: "Jain's index of what tenants got while others wanted some too",
    unit: '',
    valueOf: ({ fairness }) => fairness?.jain,
    isLessBetter: false,
  },
} as const satisfies Record<string, TuneGoal>

export type TuneGoalName = keyof typeof tuneGoals

export const tuneGoalNames = Object.keys(tuneGoals) as [TuneGoalName, ...TuneGoalName[]]

/** More is better. Runs that fail requests, or give fewer tokens a second than `leastThroughput`, are not acceptable. */
export function scoreOf(goal: TuneGoal, figures: TargetFigures, leastThroughput: number): number {
  const value = goal.valueOf(figures)
  const isAcceptable = figures.numFailed === 0 && figures.outputTokensPerSecond >= leastThroughput
  if (value === undefined || !isAcceptable) return -Infinity
  return goal.isLessBetter ? -value : value
}

/** By how much `value` is better than `than`, as a share of that. */
export function gainOf({ isLessBetter }: TuneGoal, value: number, than: number): number {
  return isLessBetter ? than / value - 1 : value / than - 1
}
