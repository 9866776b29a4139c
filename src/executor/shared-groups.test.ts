import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { SlotRun } from './kv-view.ts'
import { commonTokens, findSharedGroups, lengthOf, slotOf, type SharedGroup } from './shared-groups.ts'

const run = (slot: number, length: number): SlotRun => ({ slot, length })
const everyoneSaves = ({ members, numSharedTokens }: SharedGroup) => (members.length - 1) * numSharedTokens
const all = (lists: readonly unknown[]) => lists.map((_, index) => index)

/** Random lists of runs over few slots, so that many begin alike. */
const lists = fc.array(
  fc.array(fc.record({ slot: fc.nat(3).map((n) => n * 8), length: fc.integer({ min: 1, max: 8 }) }), {
    minLength: 1,
    maxLength: 3,
  }),
  { minLength: 1, maxLength: 8 },
)

const slotsOf = (runs: readonly SlotRun[]) =>
  runs.flatMap(({ slot, length }) => Array.from({ length }, (_, offset) => slot + offset))

describe('groups of sequences that share leading slots', () => {
  it('are found where runs are cut at different places', () => {
    const runs = [[run(0, 64), run(200, 3)], [run(0, 32), run(32, 32), run(300, 5)], [run(8, 40)]]
    expect(findSharedGroups(runs, all(runs), everyoneSaves)).toEqual([
      { members: [0, 1], numSharedTokens: 64 },
    ])
  })

  it('go deeper where a part of the sequences shares much more', () => {
    const runs = [
      [run(0, 32), run(100, 1)],
      [run(0, 32), run(1000, 4000), run(200, 1)],
      [run(0, 32), run(1000, 4000), run(300, 1)],
    ]
    expect(findSharedGroups(runs, all(runs), everyoneSaves)).toEqual([
      { members: [1, 2], numSharedTokens: 4032 },
    ])
  })

  it('are none where sharing saves nothing', () => {
    const runs = [[run(0, 64)], [run(0, 64)]]
    expect(findSharedGroups(runs, all(runs), () => 0)).toEqual([])
  })

  it('hold only candidates, each once, over slots that really are the same', () => {
    fc.assert(
      fc.property(lists, fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }), (runs, mask) => {
        const candidates = all(runs).filter((index) => mask[index])
        const groups = findSharedGroups(runs, candidates, everyoneSaves)
        const seen = groups.flatMap(({ members }) => members)
        expect(new Set(seen).size).toBe(seen.length)
        for (const member of seen) expect(candidates).toContain(member)
        for (const { members, numSharedTokens } of groups) {
          expect(members.length).toBeGreaterThan(1)
          const heads = members.map((member) => slotsOf(runs[member]!).slice(0, numSharedTokens))
          for (const head of heads) expect(head).toEqual(heads[0])
          expect(heads[0]).toHaveLength(numSharedTokens)
        }
      }),
    )
  })

  it('count common tokens and find slots as a walk over single tokens would', () => {
    fc.assert(
      fc.property(lists, (runs) => {
        const slots = runs.map(slotsOf)
        let common = 0
        while (slots[0]![common] !== undefined && slots.every((list) => list[common] === slots[0]![common]))
          common++
        expect(commonTokens(runs)).toBe(common)
        runs.forEach((list, index) => {
          expect(lengthOf(list)).toBe(slots[index]!.length)
          for (let at = 0; at <= slots[index]!.length; at++) expect(slotOf(list, at)).toBe(slots[index]![at])
        })
      }),
    )
  })
})
