import { expect, test } from 'vitest'
import { checkWorkload } from '../check-workload.ts'
import { generateWorkload } from '../generators/index.ts'
import { reusableShare } from '../reusable-tokens.ts'
import { repeatRequests } from './repeat.ts'

test('a repeated workload is a workload, as alike within and as foreign outside as before', () => {
  const once = generateWorkload('agents', { programs: '8' }, 2)
  const requests = [...repeatRequests(once, 3)].toSorted((a, b) => a.arrival - b.arrival)
  const thrice = { ...once, requests }
  expect(requests.length).toBe(3 * once.requests.length)
  expect(checkWorkload(thrice)).toBeUndefined()
  const options = { serverBlockSize: 1 }
  expect(reusableShare(thrice, options)).toBeCloseTo(reusableShare(once, options), 9)
  expect([...repeatRequests(once, 1)]).toEqual(once.requests)
})
