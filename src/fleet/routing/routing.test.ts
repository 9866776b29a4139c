import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { EngineView } from '../routing-policy.ts'
import { routingNames, routingPolicies } from './index.ts'

const idle = (count: number): EngineView[] =>
  Array.from({ length: count }, (_, index) => ({ index, numRequests: 0, numTokens: 0 }))

const requestOf = (tokens: readonly number[]) => ({ tokens, tenant: 'a', program: undefined })
const prompt = (first: number, length: number): number[] =>
  Array.from({ length }, (_, index) => first * 100_000 + index)

describe.each(routingNames)('%s', (name) => {
  test('chooses an engine that is there, and the same one in the same case', () => {
    const requests = fc.array(
      fc.record({
        tokens: fc.array(fc.nat(3), { maxLength: 200 }),
        loads: fc.array(fc.nat(10_000), { minLength: 3, maxLength: 3 }),
      }),
    )
    fc.assert(
      fc.property(requests, (list) => {
        const [one, other] = [routingPolicies[name](), routingPolicies[name]()]
        for (const { tokens, loads } of list) {
          const views = loads.map((numTokens, index) => ({ index, numRequests: 1, numTokens }))
          const chosen = one.route(requestOf(tokens), views)
          expect(chosen).toBe(other.route(requestOf(tokens), views))
          expect(views[chosen]).toBeDefined()
        }
      }),
    )
  })
})

test('round robin takes turns', () => {
  const policy = routingPolicies['round-robin']()
  expect([1, 2, 3, 4].map(() => policy.route(requestOf([]), idle(3)))).toEqual([0, 1, 2, 0])
})

test('least loaded counts tokens, not requests', () => {
  const views = [
    { index: 0, numRequests: 1, numTokens: 900 },
    { index: 1, numRequests: 5, numTokens: 500 },
  ]
  expect(routingPolicies['least-loaded']().route(requestOf([]), views)).toBe(1)
})

test('prefix affinity returns to where the beginning was computed, unless that is far busier', () => {
  const policy = routingPolicies['prefix-affinity']()
  const views = idle(3)
  views[0]!.numTokens = 10
  views[1]!.numTokens = 20
  expect(policy.route(requestOf(prompt(1, 640)), views)).toBe(2)
  views[2]!.numTokens = 2000
  expect(policy.route(requestOf([...prompt(1, 640), ...prompt(2, 64)]), views)).toBe(2)
  expect(policy.route(requestOf(prompt(3, 640)), views)).toBe(0)
  views[2]!.numTokens = 100_000
  expect(policy.route(requestOf([...prompt(1, 640), ...prompt(4, 64)]), views)).toBe(0)
})
