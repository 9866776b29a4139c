/**
 * How fast a machine was while it served a run, against when it was calibrated: virtual machines wander by some
 * percent from minute to minute, whatever runs on them.
 */
import { writeFile } from 'node:fs/promises'
import { readLatencyFile, type LatencyFile } from '../../src/cli/latency-file.ts'
import { readPlanLog } from '../../src/cli/plan-log-file.ts'
import { predictStep } from '../../src/simulator/latency/measured.ts'
import { measurementsOf } from '../../src/simulator/latency/samples-of-log.ts'
import type { PlanLogHeader, PlanLogLine } from '../../src/simulator/replay/plan-log.ts'

/** What all steps of a recorded run took, by what the calibration says that they take. */
export async function paceOf(plans: string, latency: string): Promise<number> {
  const values: (PlanLogHeader | PlanLogLine)[] = []
  for await (const value of readPlanLog(plans)) values.push(value)
  const [header, ...lines] = values
  const { samples } = measurementsOf(header as PlanLogHeader, lines as PlanLogLine[])
  const { step } = readLatencyFile(latency)
  const sumOf = (of: (sample: (typeof samples)[number]) => number): number =>
    samples.reduce((sum, sample) => sum + of(sample), 0)
  return sumOf(({ micros }) => micros) / sumOf(({ shape }) => predictStep(step, shape))
}

/** The calibration of a machine that is slower by a factor. */
export async function writePaced(latency: string, pace: number, path: string): Promise<void> {
  const file = readLatencyFile(latency)
  const coefficients = file.step.coefficients.map((value) => pace * value)
  const paced: LatencyFile = { ...file, step: { ...file.step, coefficients } }
  await writeFile(path, JSON.stringify(paced))
}
