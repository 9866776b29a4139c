import { expect, it } from 'vitest'
import { micros } from '../core/units.ts'
import { ProgramLog } from './program-log.ts'

it('counts the turns of each program of each tenant from its first one on', () => {
  const log = new ProgramLog()
  expect(log.turnOf('a', 'p', micros(5))).toEqual({ startedAt: 5, index: 0 })
  expect(log.turnOf('a', 'p', micros(7))).toEqual({ startedAt: 5, index: 1 })
  expect(log.turnOf('b', 'p', micros(8))).toEqual({ startedAt: 8, index: 0 })
  expect(log.turnOf('ap', '', micros(9))).toEqual({ startedAt: 9, index: 0 })
})

it('forgets the program that was quiet longest when there are too many', () => {
  const log = new ProgramLog(2)
  for (const [at, program] of ['p', 'q', 'p', 'r'].entries()) log.turnOf('a', program, micros(at))
  expect(log.size).toBe(2)
  expect(log.turnOf('a', 'p', micros(9))).toMatchObject({ startedAt: 0, index: 2 })
  expect(log.turnOf('a', 'q', micros(9))).toMatchObject({ startedAt: 9, index: 0 })
})
