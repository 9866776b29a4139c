/** One tenant floods the server, another asks now and then: what each gets, on a virtual clock. */
import { describe, expect, it } from 'vitest'
import { runVirtually, type VirtualRequest, type VirtualResult } from '../../../test/support/virtual-run.ts'
import { micros } from '../../core/units.ts'
import { fair } from './fair.ts'
import { fairSloProgram } from './fair-slo-program.ts'
import { fcfs } from './fcfs.ts'

const second = 1_000_000

const flood = (program: (index: number) => string | undefined): VirtualRequest[] =>
  Array.from({ length: 200 }, (_, index) => ({
    at: micros(0),
    numPrompt: 300,
    numOutput: 150,
    tenant: 'flood',
    program: program(index),
  }))
const steady: VirtualRequest[] = Array.from({ length: 15 }, (_, index) => ({
  at: micros((1 + 2 * index) * second),
  numPrompt: 300,
  numOutput: 50,
  tenant: 'steady',
}))
const both = [...flood(() => undefined), ...steady]

/** The steady tenant's times to first token in seconds, sorted. */
function steadyTtft(results: readonly VirtualResult[]): number[] {
  return results
    .filter(({ request }) => request.tenant === 'steady')
    .map(({ request, firstTokenAt }) => (firstTokenAt - request.at) / second)
    .toSorted((a, b) => a - b)
}
const worst = (values: readonly number[]): number => values.at(-1) ?? 0

describe('a flood of one tenant', () => {
  const alone = worst(steadyTtft(runVirtually(fair(), steady)))
  const underFcfs = worst(steadyTtft(runVirtually(fcfs(), both)))

  it.each([
    ['fair', fair],
    ['fair+slo+program', fairSloProgram],
  ])('costs another tenant less than four times its time to first token under %s', (_, createPolicy) => {
    const ttft = worst(steadyTtft(runVirtually(createPolicy(), both)))
    expect(ttft).toBeLessThan(4 * alone)
    expect(underFcfs).toBeGreaterThan(20 * ttft)
  })

  it('gains nothing from many sessions', () => {
    const share = (program: (index: number) => string | undefined): number => {
      const requests = [...flood(program), ...flood(() => 'p').map((each) => ({ ...each, tenant: 'other' }))]
      const results = runVirtually(fairSloProgram(), requests)
      const half = Math.max(...results.map(({ finishedAt }) => finishedAt)) / 2
      const done = results.filter(({ finishedAt }) => finishedAt <= half)
      return done.filter(({ request }) => request.tenant === 'flood').length / done.length
    }
    const [asOne, asMany] = [share(() => 'one'), share((index) => `${index}`)]
    expect(asOne).toBeGreaterThan(0.45)
    expect(asMany).toBeGreaterThan(0.45)
    expect(asMany).toBeLessThan(0.55)
  })

  it.each([
    ['fair', fair, 4],
    ['fair+slo+program', fairSloProgram, 2],
  ])('of one program leaves another of the same tenant its turn under %s', (_, createPolicy, factor) => {
    const chat = Array.from({ length: 10 }, (_, index) => ({
      at: micros((1 + 2 * index) * second),
      numPrompt: 300,
      numOutput: 50,
      tenant: 'flood',
      program: 'chat',
    }))
    const requests = [...flood(() => 'bulk'), ...chat]
    const waits = (results: readonly VirtualResult[]) =>
      results
        .filter(({ request }) => request.program === 'chat')
        .map(({ request, firstTokenAt }) => (firstTokenAt - request.at) / second)
    const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
    const [fairly, byArrival] = [createPolicy(), fcfs()].map((each) =>
      mean(waits(runVirtually(each, requests))),
    )
    expect(fairly).toBeLessThan(byArrival! / factor)
  })
})
