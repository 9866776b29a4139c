import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createRequest } from '../../../test/support/generate.ts'
import { runVirtually, type VirtualRequest } from '../../../test/support/virtual-run.ts'
import { micros, toSequenceId } from '../../core/units.ts'
import { Sequence } from '../sequence.ts'
import { fairSloProgram } from './fair-slo-program.ts'
import { fcfs } from './fcfs.ts'
import { slo } from './slo.ts'

const second = 1_000_000

/** A request each `every` seconds for `seconds`. */
function arrivals(
  seconds: number,
  every: number,
  fields: Omit<VirtualRequest, 'at'>,
  start = 0,
): VirtualRequest[] {
  return Array.from({ length: Math.floor(seconds / every) }, (_, index) => ({
    ...fields,
    at: micros((start + index * every) * second),
  }))
}

const chat = { numPrompt: 100, numOutput: 30, serviceClass: 'priority' }
const flex = { numPrompt: 800, numOutput: 100, serviceClass: 'flex' }
const batch = { numPrompt: 400, numOutput: 200, serviceClass: 'batch' }

describe.each([
  ['slo', slo],
  ['fair+slo+program', fairSloProgram],
])('under %s', (_, createPolicy) => {
  it('chats meet their time to first token among more long work than fits', () => {
    const requests = [...arrivals(60, 0.5, chat, 1), ...arrivals(60, 0.25, flex), ...arrivals(60, 0.5, batch)]
    const met = (policy: Parameters<typeof runVirtually>[0]): number => {
      const chats = runVirtually(policy, requests).filter(
        ({ request }) => request.serviceClass === 'priority',
      )
      return (
        chats.filter(({ request, firstTokenAt }) => firstTokenAt - request.at <= second / 2).length /
        chats.length
      )
    }
    expect(met(createPolicy())).toBeGreaterThan(0.95)
    expect(met(fcfs())).toBeLessThan(0.3)
  })

  it('who is late goes before work that need not hurry, and behind what is due by then', () => {
    // Seconds before now; chats are promised 0.5 s, flex 30 s, batch 600 s.
    const firstOf = (...waiting: (readonly [serviceClass: string, arrivedBefore: number])[]): string => {
      const queue = createPolicy().createQueue()
      for (const [index, [serviceClass, arrivedBefore]] of waiting.entries()) {
        const arrivedAt = micros((1000 - arrivedBefore) * second)
        const request = createRequest({ id: `${index}`, promptTokens: [1], serviceClass, arrivedAt })
        queue.add(new Sequence(toSequenceId(index), request, 9, new Set()))
      }
      return queue.peek(micros(1000 * second))!.request.serviceClass
    }
    expect(firstOf(['batch', 60], ['priority', 0.6])).toBe('priority')
    expect(firstOf(['flex', 20], ['priority', 0.6])).toBe('priority')
    expect(firstOf(['priority', 0.6], ['flex', 29.9])).toBe('flex')
    expect(firstOf(['batch', 60], ['flex', 50])).toBe('flex')
    expect(firstOf(['flex', 50], ['batch', 599])).toBe('batch')
  })

  it('a class gives way until the other is too far ahead of its share', () => {
    const policy = createPolicy()
    const queue = policy.createQueue()
    let numAdmitted = 0
    const admit = (serviceClass: string, numPrompt: number): Sequence => {
      const promptTokens = Array.from({ length: numPrompt }, () => 1)
      const request = createRequest({ id: `${numAdmitted}`, promptTokens, serviceClass })
      const sequence = new Sequence(toSequenceId(numAdmitted++), request, numPrompt + 9, new Set())
      queue.add(sequence)
      queue.remove(sequence)
      policy.onAdmitted?.(sequence)
      return sequence
    }
    const running = admit('batch', 100)
    const next = admit('priority', 100)
    const answers = (): unknown[] => [
      policy.pickYielding?.(next, [running]),
      policy.goesAhead?.(next, running),
      policy.sortForStep?.([running, next])[0],
    ]
    expect(answers()).toEqual([running, true, next])
    // Of weight 8: one more than 4096 for each of them.
    for (let count = 0; count < 33; count += 1) admit('priority', 1000)
    expect(answers()).toEqual([undefined, false, running])
  })

  it('no class waits for ever, however much more urgent work there is', () => {
    const load = fc.record({
      every: fc.double({ min: 0.05, max: 0.3, noNaN: true }),
      numBatch: fc.integer({ min: 1, max: 4 }),
      maxNumSeqs: fc.constantFrom(4, 16, 64),
    })
    fc.assert(
      fc.property(load, ({ every, numBatch, maxNumSeqs }) => {
        const urgent = arrivals(60, every, { ...chat, numPrompt: 300, numOutput: 60 })
        const waiting = Array.from({ length: numBatch }, () => ({ ...batch, at: micros(second) }))
        const results = runVirtually(createPolicy(), [...urgent, ...waiting], { maxNumSeqs })
        const lastBatch = Math.max(
          ...results
            .filter(({ request }) => request.serviceClass === 'batch')
            .map(({ firstTokenAt }) => firstTokenAt),
        )
        const gained = results
          .filter(({ request, finishedAt }) => request.serviceClass === 'priority' && finishedAt <= lastBatch)
          .reduce((sum, { request }) => sum + request.numPrompt + 2 * request.numOutput, 0)
        const mostCost = 400 + 2 * 200
        // w_x (mostDebt + j C / w) for the urgent class, and (N + 1) C for what runs.
        const bound = 8 * (4096 + numBatch * mostCost) + (maxNumSeqs + 1) * mostCost
        expect(gained).toBeLessThanOrEqual(bound)
      }),
      { numRuns: 12 },
    )
  })

  it('keeps the time between tokens that running streams were promised', () => {
    const gapsAbove = (serviceClass: string): number => {
      const streams = arrivals(20, 1, { numPrompt: 50, numOutput: 100, serviceClass })
      const prompts = arrivals(20, 0.5, { numPrompt: 1500, numOutput: 5, serviceClass: 'flex' }, 0.3)
      const config = { maxNumBatchedTokens: 2048 }
      const results = runVirtually(createPolicy(), [...streams, ...prompts], config)
      const slowest = results
        .filter(({ request }) => request.serviceClass === serviceClass)
        .map(({ longestGap }) => longestGap)
      return slowest.filter((gap) => gap > 110_000).length / slowest.length
    }
    // The first steps teach what steps cost.
    expect(gapsAbove('priority')).toBeLessThan(0.2)
    expect(gapsAbove('default')).toBeGreaterThan(0.8)
  })
})
