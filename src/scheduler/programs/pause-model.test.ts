import fc from 'fast-check'
import { expect, it } from 'vitest'
import { micros } from '../../core/units.ts'
import { PauseModel, type Pause } from './pause-model.ts'

const second = 1_000_000
const pause: Pause = { tool: 'search', program: 'p' }

function modelOf(gaps: readonly number[], kind: Pause = pause): PauseModel {
  const model = new PauseModel()
  for (const gap of gaps) model.observe(kind, micros(gap))
  return model
}

it('keeps KV for ever-so-long when keeping is free, and not at all when restoring is', () => {
  const model = modelOf([second, 2 * second])
  expect(model.timeToLive(pause, { keepPerMicro: 0, restore: 5 })).toBeGreaterThanOrEqual(2 * second)
  expect(model.timeToLive(pause, { keepPerMicro: 1, restore: 0 })).toBe(0)
})

it('knows nothing at first, and takes tools for faster than people', () => {
  const model = new PauseModel()
  const prices = { keepPerMicro: 1, restore: 30 * second }
  expect(model.timeToLive(pause, prices)).toBeGreaterThan(second)
  expect(model.quantile({ tool: undefined, program: 'p' }, 0.5)).toBe(10 * model.quantile(pause, 0.5))
})

it('learns how long a tool takes, and that one program is different', () => {
  const fast = Array.from({ length: 60 }, (_, index) => second / 5 + index)
  const model = modelOf(fast, { tool: 'search', program: 'others' })
  const prices = { keepPerMicro: 1, restore: 2 * second }
  expect(model.quantile(pause, 0.8)).toBeLessThan(second / 4)
  expect(model.timeToLive(pause, prices)).toBeLessThan(second)
  expect(model.timeToLive(pause, prices)).toBeGreaterThan(second / 5)
  for (let index = 0; index < 8; index += 1)
    model.observe({ tool: 'search', program: 'slow' }, micros(20 * second))
  for (let index = 0; index < 40; index += 1)
    model.observe({ tool: 'search', program: 'x' }, micros(second / 5))
  const slow = model.quantile({ tool: 'search', program: 'slow' }, 0.8)
  expect(slow).toBe(20 * second)
})

it('never keeps longer than restoring is worth', () => {
  const gaps = fc.array(fc.integer({ min: 1, max: 100 * second }), { maxLength: 100 })
  const price = fc.double({ min: 0.001, max: 1000, noNaN: true })
  fc.assert(
    fc.property(gaps, price, price, (seen, keepPerMicro, restore) => {
      const ttl = modelOf(seen).timeToLive(pause, { keepPerMicro, restore: restore * second })
      expect(ttl * keepPerMicro).toBeLessThanOrEqual(restore * second + keepPerMicro)
    }),
  )
})

it('costs little more, over the gaps it has learned, than never keeping', () => {
  const gaps = fc.array(fc.integer({ min: 1, max: 20 * second }), { minLength: 56, maxLength: 56 })
  fc.assert(
    fc.property(gaps, fc.double({ min: 0.01, max: 10, noNaN: true }), (seen, restoreSeconds) => {
      const restore = restoreSeconds * second
      const model = modelOf(seen, { tool: 'search', program: 'others' })
      const limit = model.timeToLive(pause, { keepPerMicro: 1, restore })
      const costs = seen.map((gap) => (gap <= limit ? gap : limit + restore))
      // The prior weighs 3.5 of 59.5, and can mislead by one restore where it says anything.
      const mean = costs.reduce((sum, cost) => sum + cost, 0) / costs.length
      expect(mean).toBeLessThanOrEqual(restore * (1 + 3.5 / 56) + 1)
    }),
  )
})
