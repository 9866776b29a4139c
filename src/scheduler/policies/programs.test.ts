/** Agents that call tools, and workflows with deadlines, on a virtual clock: each turn comes after the one before. */
import { expect, it } from 'vitest'
import { runPrograms, type VirtualProgram } from '../../../test/support/virtual-programs.ts'
import { RandomStream } from '../../core/random.ts'
import { micros } from '../../core/units.ts'
import { deadline } from './deadline.ts'
import { fairSloProgram } from './fair-slo-program.ts'
import { fcfs } from './fcfs.ts'
import { program } from './program.ts'

const second = 1_000_000
const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length

/** Programs of four to eight turns that arrive faster than they can be served, for a while. */
function agents(count: number, everySeconds: number, budgetSeconds?: number): VirtualProgram[] {
  const random = new RandomStream(11)
  return Array.from({ length: count }, (_, index) => ({
    at: micros(index * everySeconds * second),
    gap: micros((0.2 + random.next()) * second),
    numTurns: 4 + random.below(5),
    numPrompt: 300 + random.below(500),
    numOutput: 30 + random.below(60),
    budget: budgetSeconds === undefined ? undefined : micros(budgetSeconds * (1 + random.next()) * second),
  }))
}

const limits = { maxNumSeqs: 8 }

it.each([
  ['program', program],
  ['fair+slo+program', fairSloProgram],
])('programs that began first end first, and all of them sooner on average, under %s', (_, createPolicy) => {
  const load = agents(60, 0.4)
  const durations = (policy: Parameters<typeof runPrograms>[0]): number[] =>
    runPrograms(policy, load, limits).map(({ finishedAt }, index) => finishedAt - load[index]!.at)
  const [byProgram, byRequest] = [durations(createPolicy()), durations(fcfs())]
  expect(mean(byProgram)).toBeLessThan(0.8 * mean(byRequest))
})

it('more workflows meet their deadlines when the one with the least slack goes first', () => {
  const load = agents(60, 0.9, 12)
  const met = (policy: Parameters<typeof runPrograms>[0]): number =>
    runPrograms(policy, load, limits).filter(
      ({ finishedAt }, index) => finishedAt <= load[index]!.at + load[index]!.budget!,
    ).length
  const [byDeadline, byArrival] = [met(deadline()), met(fcfs())]
  expect(byArrival).toBeGreaterThan(10)
  expect(byDeadline).toBeGreaterThan(1.4 * byArrival)
})
