import { expect, it } from 'vitest'
import { LineLimit } from './line-limit.ts'

const alone = { hasOthers: false, numWaiting: 0, numRunning: 8 }

it('grows line by line to its bound while the engine takes what it is given', () => {
  const limit = new LineLimit(10)
  expect(limit.value).toBe(8)
  for (let line = 0; line < 5; line++) limit.update(alone)
  expect(limit.value).toBe(10)
})

it('holds while sequences wait in the engine', () => {
  const limit = new LineLimit(100)
  limit.update({ ...alone, numWaiting: 3 })
  expect(limit.value).toBe(8)
})

it('falls to two within a few lines when others come, and grows again when they have gone', () => {
  const limit = new LineLimit(100)
  for (let line = 0; line < 60; line++) limit.update(alone)
  expect(limit.value).toBe(68)
  for (let line = 0; line < 6; line++) limit.update({ ...alone, hasOthers: true })
  expect(limit.value).toBe(2)
  limit.update(alone)
  expect(limit.value).toBe(3)
})

it('halves when the server would take no more, and never falls below one', () => {
  const limit = new LineLimit(100)
  for (let time = 0; time < 6; time++) limit.refused()
  expect(limit.value).toBe(1)
})

it('keeps to a bound of one', () => {
  const limit = new LineLimit(1)
  limit.update(alone)
  limit.update({ ...alone, hasOthers: true })
  expect(limit.value).toBe(1)
})
