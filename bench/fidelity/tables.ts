/** What `bench/fidelity.ts` prints. */
import type { TargetFigures } from '../../src/bench/bench-report.ts'
import type { Summary } from '../../src/metrics/summary.ts'
import { table } from '../report.ts'

export interface Compared {
  readonly workload: string
  readonly share: number
  readonly policy: string
  /** What the run's steps took, by what the calibration says. */
  readonly pace: number
  readonly measured: TargetFigures
  /** With the machine as it was calibrated, and with it as slow as it was in this run. */
  readonly simulated: TargetFigures
  readonly paced: TargetFigures
}

const figures = { TTFT: 'ttftMs', TPOT: 'tpotMs', 'end to end': 'e2eMs' } as const
const statistics = ['mean', 'p50', 'p90', 'p99'] as const

type Figure = (typeof figures)[keyof typeof figures]

/** Undefined where a run has no such figure. */
function errorOf(
  real: TargetFigures,
  made: TargetFigures,
  figure: Figure,
  key: keyof Summary,
): number | undefined {
  const [measured, simulated] = [real[figure], made[figure]]
  return measured === undefined || simulated === undefined ? undefined : simulated[key] / measured[key] - 1
}

function percent(share: number | undefined): string {
  if (share === undefined) return '-'
  return `${share < 0 ? '-' : '+'}${Math.abs(100 * share).toFixed(1)} %`
}

const nameOf = ({ workload, share }: Compared): string => `${workload}, ${share} of capacity`

/** The two errors that there is an aim for, with and without the machine's pace. */
export function aimTable(runs: readonly Compared[]): string {
  const rows = runs.map((run) => {
    const { measured, simulated, paced, pace } = run
    return [
      nameOf(run),
      pace.toFixed(2),
      percent(errorOf(measured, simulated, 'e2eMs', 'mean')),
      percent(errorOf(measured, paced, 'e2eMs', 'mean')),
      percent(errorOf(measured, simulated, 'ttftMs', 'p90')),
      percent(errorOf(measured, paced, 'ttftMs', 'p90')),
    ]
  })
  const columns = ['end to end, mean', 'at its pace', 'TTFT, p90', 'at its pace']
  return table(['error of the simulation', 'pace', ...columns], [...rows, meanRow(runs)])
}

function meanRow(runs: readonly Compared[]): string[] {
  const mean = (of: 'simulated' | 'paced', figure: Figure, key: keyof Summary): string => {
    const errors = runs.map((run) => Math.abs(errorOf(run.measured, run[of], figure, key) ?? 0))
    const sum = errors.reduce((total, error) => total + error, 0)
    return `${((100 * sum) / Math.max(1, errors.length)).toFixed(1)} %`
  }
  return [
    'mean, whatever its sign',
    '',
    mean('simulated', 'e2eMs', 'mean'),
    mean('paced', 'e2eMs', 'mean'),
    mean('simulated', 'ttftMs', 'p90'),
    mean('paced', 'ttftMs', 'p90'),
  ]
}

export function detailTable(runs: readonly Compared[]): string {
  const rows = runs.flatMap((run) =>
    Object.entries(figures).map(([name, figure]) => [
      `${nameOf(run)}: ${name}`,
      run.measured[figure]?.mean.toFixed(1) ?? '-',
      ...statistics.map((key) => percent(errorOf(run.measured, run.paced, figure, key))),
    ]),
  )
  return table(['error of the simulation, at its pace', 'measured mean (ms)', ...statistics], rows)
}

export function policyTable(runs: readonly Compared[]): string {
  const means = ({ ttftMs, e2eMs }: TargetFigures): string[] =>
    [ttftMs, e2eMs].map((summary) => summary?.mean.toFixed(0) ?? '-')
  const rows = runs.map(({ policy, pace, measured, simulated, paced }) => [
    policy,
    pace.toFixed(2),
    ...[measured, simulated, paced].flatMap(means),
  ])
  const columns = ['TTFT', 'end to end', 'simulated', 'simulated', 'at its pace', 'at its pace']
  return table(['mean TTFT and end to end (ms)', 'pace', ...columns], rows)
}
