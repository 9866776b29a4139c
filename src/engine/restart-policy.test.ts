import { describe, expect, it } from 'vitest'
import { RestartPolicy } from './restart-policy.ts'

const failedStart = { lifeMillis: 500, hadSteps: false, hadSuspects: false }
const fatalRequest = { lifeMillis: 500, hadSteps: false, hadSuspects: true }

describe('the restart policy', () => {
  it('gives up after three fast deaths in a row that nobody is to blame for', () => {
    const policy = new RestartPolicy()
    expect([1, 2, 3].map(() => policy.delayAfter(failedStart))).toEqual([0, 100, undefined])
  })

  it('never gives up over requests, but waits longer and longer', () => {
    const policy = new RestartPolicy()
    const delays = Array.from({ length: 9 }, () => policy.delayAfter(fatalRequest))
    expect(delays).toEqual([0, 100, 200, 400, 800, 1600, 3200, 5000, 5000])
  })

  it.each([
    ['finished a step', { ...failedStart, hadSteps: true }],
    ['lived for long', { ...failedStart, lifeMillis: 10_000 }],
  ])('begins anew after an engine that %s', (_, life) => {
    const policy = new RestartPolicy()
    policy.delayAfter(failedStart)
    policy.delayAfter(failedStart)
    expect(policy.delayAfter(life)).toBe(0)
    expect(policy.delayAfter(failedStart)).toBe(100)
  })
})
