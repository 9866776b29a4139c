import fc from 'fast-check'
import { expect, it } from 'vitest'
import { UserPool } from './user-pool.ts'

it('does every job once and in order, those that others bring next, never more at a time than there are users', async () => {
  const jobs = fc.array(fc.record({ turns: fc.nat(3), brings: fc.nat(2) }), { maxLength: 12 })
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 4 }), jobs, async (numUsers, given) => {
      const started: string[] = []
      let numBusy = 0
      let mostBusy = 0
      const named = given.map((job, index) => ({ ...job, name: String(index) }))
      const pool: UserPool<(typeof named)[number]> = new UserPool(
        numUsers,
        named,
        async ({ name, turns, brings }) => {
          started.push(name)
          mostBusy = Math.max(mostBusy, (numBusy += 1))
          for (let turn = 0; turn < turns; turn += 1) await Promise.resolve()
          const brought = Array.from({ length: brings }, (_, index) => `${name}.${index}`)
          pool.addNext(brought.map((child) => ({ name: child, turns: 1, brings: 0 })))
          await Promise.resolve()
          numBusy -= 1
        },
      )
      await pool.run()
      const expected = named.flatMap(({ name, brings }) => [
        name,
        ...Array.from({ length: brings }, (_, index) => `${name}.${index}`),
      ])
      expect(started.toSorted()).toEqual(expected.toSorted())
      expect(mostBusy).toBeLessThanOrEqual(numUsers)
      if (numUsers === 1) expect(started).toEqual(expected)
    }),
  )
})

it('fails when a job fails', async () => {
  const failing = new UserPool(2, [1, 2], (job) =>
    job === 2 ? Promise.reject(new Error('no')) : Promise.resolve(),
  )
  await expect(failing.run()).rejects.toThrow('no')
})
