import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { toRequestId, type RequestId } from '../core/units.ts'
import { Quarantine } from './quarantine.ts'

interface Work {
  readonly id: RequestId
  readonly arrivesAt: number
  readonly length: number
  /** The engine dies when it computes this token of the request. */
  readonly fatalToken: number | undefined
}

interface Outcome {
  readonly finished: Set<RequestId>
  readonly failed: Set<RequestId>
  readonly numCrashes: number
}

/** An engine of `numPlaces` that dies where requests are fatal, and of `kills` (steps) while it has company. */
function simulate(works: readonly Work[], numPlaces: number, kills: ReadonlySet<number>): Outcome {
  const quarantine = new Quarantine()
  const finished = new Set<RequestId>()
  const failed = new Set<RequestId>()
  const progress = new Map<RequestId, number>()
  let inEngine: Work[] = []
  let numCrashes = 0
  for (let step = 0; finished.size + failed.size < works.length; step++) {
    expect(step, 'somebody waits for ever').toBeLessThan(20_000)
    for (const { id, arrivesAt } of works) if (arrivesAt === step) quarantine.add(id)
    inEngine.push(...quarantine.release().map((id) => works.find((work) => work.id === id)!))
    const running = inEngine.slice(0, numPlaces)
    for (const { id } of running) quarantine.noteStarted(id)
    const isKilled = kills.has(step) && inEngine.length > 1
    if (isKilled || running.some(({ id, fatalToken }) => fatalToken === (progress.get(id) ?? 0))) {
      numCrashes += 1
      for (const id of quarantine.crash().culprits) failed.add(id)
      inEngine = []
      continue
    }
    for (const { id, length } of running) {
      const numTokens = (progress.get(id) ?? 0) + 1
      progress.set(id, numTokens)
      quarantine.noteTokens(id, 1)
      if (numTokens < length) continue
      quarantine.remove(id)
      finished.add(id)
      inEngine = inEngine.filter((work) => work.id !== id)
    }
  }
  expect(quarantine.size).toBe(0)
  return { finished, failed, numCrashes }
}

const someWorks = fc.array(
  fc.record({
    arrivesAt: fc.nat(60),
    length: fc.integer({ min: 1, max: 80 }),
    fatal: fc.option(fc.nat(79), { freq: 3, nil: undefined }),
  }),
  { minLength: 1, maxLength: 12 },
)

const toWorks = (
  drawn: readonly { arrivesAt: number; length: number; fatal: number | undefined }[],
): Work[] =>
  drawn.map(({ arrivesAt, length, fatal }, index) => ({
    id: toRequestId(`r${index}`),
    arrivesAt,
    length,
    fatalToken: fatal !== undefined && fatal < length ? fatal : undefined,
  }))

describe('the quarantine', () => {
  it('fails exactly the requests that kill the engine, whoever runs beside them', () => {
    fc.assert(
      fc.property(someWorks, fc.integer({ min: 1, max: 8 }), (drawn, numPlaces) => {
        const works = toWorks(drawn)
        const { failed, numCrashes } = simulate(works, numPlaces, new Set())
        const culprits = works.filter(({ fatalToken }) => fatalToken !== undefined).map(({ id }) => id)
        expect(failed).toEqual(new Set(culprits))
        expect(numCrashes).toBeLessThanOrEqual(6 * culprits.length)
      }),
      { numRuns: 200 },
    )
  })

  it('fails nobody for being killed in company from outside, as often as that may be', () => {
    fc.assert(
      fc.property(
        someWorks,
        fc.integer({ min: 2, max: 8 }),
        fc.array(fc.nat(200)),
        (drawn, numPlaces, kills) => {
          const works = toWorks(drawn).map((work) => ({ ...work, fatalToken: undefined }))
          expect(simulate(works, numPlaces, new Set(kills)).failed).toEqual(new Set())
        },
      ),
      { numRuns: 200 },
    )
  })

  it('fails a request on its second crash when nobody else was there', () => {
    const works = toWorks([{ arrivesAt: 0, length: 9, fatal: 3 }])
    expect(simulate(works, 4, new Set())).toMatchObject({ numCrashes: 2, failed: new Set(['r0']) })
  })

  it('finds the one among eight by the fourth crash', () => {
    const works = toWorks(
      Array.from({ length: 8 }, (_, index) => ({
        arrivesAt: 0,
        length: 40,
        fatal: index === 5 ? 7 : undefined,
      })),
    )
    expect(simulate(works, 8, new Set())).toMatchObject({ numCrashes: 4, failed: new Set(['r5']) })
  })

  it('holds the others back while a suspect runs, and lets them go when it is cleared', () => {
    const [a, b, newcomer] = [toRequestId('a'), toRequestId('b'), toRequestId('c')]
    const quarantine = new Quarantine()
    for (const id of [a, b]) quarantine.add(id)
    for (let crash = 0; crash < 2; crash++) {
      expect(quarantine.release()).toEqual([a, b])
      for (const id of [a, b]) quarantine.noteStarted(id)
      expect(quarantine.crash()).toEqual({ culprits: [], hadSuspects: true })
    }
    quarantine.add(newcomer)
    expect(quarantine.release()).toEqual([a])
    quarantine.noteTokens(a, 15)
    expect(quarantine.release()).toEqual([])
    quarantine.noteTokens(a, 1)
    expect(quarantine.release()).toEqual([b])
    quarantine.remove(b)
    expect(quarantine.release()).toEqual([newcomer])
  })

  it('suspects nobody who only waited in the engine', () => {
    const [runner, waiter] = [toRequestId('runner'), toRequestId('waiter')]
    const quarantine = new Quarantine()
    for (const id of [runner, waiter]) quarantine.add(id)
    for (let crash = 0; crash < 2; crash++) {
      quarantine.release()
      quarantine.noteStarted(runner)
      quarantine.crash()
    }
    expect(quarantine.release()).toEqual([runner])
    quarantine.remove(runner)
    expect(quarantine.release()).toEqual([waiter])
  })

  it('has no suspects when the engine dies empty', () => {
    const quarantine = new Quarantine()
    quarantine.add(toRequestId('held'))
    expect(quarantine.crash()).toEqual({ culprits: [], hadSuspects: false })
  })
})
