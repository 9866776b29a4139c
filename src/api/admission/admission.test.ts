import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ServingError } from '../../core/errors.ts'
import { noLimits, type KeyLimits } from '../../core/tenant.ts'
import { micros } from '../../core/units.ts'
import { Admission, type AdmissionConfig, type Ticket } from './admission.ts'
import { durationText, rateHeaders } from './rate-headers.ts'

const second = 1_000_000
const ample: AdmissionConfig = {
  maxRequests: 100,
  maxTokens: 100_000,
  maxTenantRequests: 100,
  maxTenantTokens: 100_000,
  lateFactor: 1.5,
}

interface Ask {
  readonly tenant?: string
  readonly weight?: number
  readonly limits?: Partial<KeyLimits>
  readonly ttftTarget?: number
  readonly prompt?: number
  readonly maxTokens?: number
  readonly n?: number
}

function ask(admission: Admission, at: number, fields: Ask = {}): readonly Ticket[] {
  const { tenant = 'a', weight = 1, limits, ttftTarget, prompt = 10, maxTokens = 10, n = 1 } = fields
  return admission.admit(
    {
      tenant,
      weight,
      limits: limits === undefined ? undefined : { ...noLimits, ...limits },
      ttftTarget: ttftTarget === undefined ? undefined : micros(ttftTarget),
      sequences: Array.from({ length: n }, () => ({ numPromptTokens: prompt, maxTokens })),
    },
    micros(at),
  )
}

function refusalOf(action: () => unknown): ServingError {
  try {
    action()
  } catch (error) {
    if (error instanceof ServingError) return error
    throw error
  }
  throw new Error('it was let in')
}

describe('queues', () => {
  it('hold so many answers of a tenant, and of all', () => {
    const admission = new Admission({ ...ample, maxRequests: 3, maxTenantRequests: 2 })
    const [first] = ask(admission, 0)
    ask(admission, 0)
    const { code, message, retryAfter } = refusalOf(() => ask(admission, 0))
    expect(code).toBe('QUEUE_FULL')
    expect(message).toContain('tenant')
    expect(retryAfter).toBeGreaterThan(0)
    ask(admission, 0, { tenant: 'b' })
    expect(refusalOf(() => ask(admission, 0, { tenant: 'c' })).message).toContain('server')
    first?.end(3, micros(1))
    first?.end(3, micros(2))
    expect(admission.numRequests).toBe(2)
    ask(admission, 2)
  })

  it('hold so many tokens; more than that is let in alone', () => {
    const admission = new Admission({ ...ample, maxTenantTokens: 100 })
    const [big] = ask(admission, 0, { prompt: 500 })
    expect(refusalOf(() => ask(admission, 0, { prompt: 1, maxTokens: 1 })).message).toContain('tokens')
    big?.end(1, micros(1))
    ask(admission, 1, { n: 4 })
    expect(refusalOf(() => ask(admission, 1, { n: 2 })).code).toBe('QUEUE_FULL')
  })

  it('follow the limits of a key before those of the server', () => {
    const admission = new Admission({ ...ample, maxTenantRequests: 1 })
    for (let count = 0; count < 3; count += 1) ask(admission, 0, { limits: { maxRequests: 3 } })
    expect(refusalOf(() => ask(admission, 0, { limits: { maxRequests: 3 } })).code).toBe('QUEUE_FULL')
  })

  it('are empty, and forgotten, when everybody has ended, whatever happened', () => {
    const step = fc.record({
      tenant: fc.constantFrom('a', 'b', 'c'),
      n: fc.integer({ min: 1, max: 4 }),
      end: fc.nat(9),
    })
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const admission = new Admission({ ...ample, maxRequests: 8, maxTenantTokens: 90 })
        const open: Ticket[] = []
        for (const [at, { tenant, n, end }] of steps.entries()) {
          try {
            open.push(...ask(admission, at, { tenant, n, prompt: 1 + end }))
          } catch (error) {
            expect((error as ServingError).code).toBe('QUEUE_FULL')
          }
          expect(admission.numRequests).toBe(open.length)
          expect(open.length).toBeLessThanOrEqual(8)
          for (const ticket of open.splice(0, end)) ticket.end(1, micros(at))
        }
        for (const ticket of open) ticket.end(0, micros(100))
        expect(admission.numRequests).toBe(0)
        expect(admission.numTenants).toBe(0)
      }),
    )
  })
})

describe('rates', () => {
  it('let a minute’s worth in at once, and say when there is more', () => {
    const admission = new Admission(ample)
    const limits = { requestsPerMinute: 3 }
    for (let count = 0; count < 3; count += 1) ask(admission, 0, { limits })[0]?.end(1, micros(0))
    const { code, retryAfter } = refusalOf(() => ask(admission, 0, { limits }))
    expect(code).toBe('RATE_LIMITED')
    expect(retryAfter).toBe(20 * second)
    expect(refusalOf(() => ask(admission, 19 * second, { limits })).retryAfter).toBe(second)
    ask(admission, 20 * second, { limits })
    expect(admission.rateState('a', micros(20 * second)).requests).toEqual({
      limit: 3,
      remaining: 0,
      reset: 60 * second,
    })
  })

  it('count what an answer came to, once it is known', () => {
    const admission = new Admission(ample)
    const limits = { tokensPerMinute: 1000 }
    const [ticket] = ask(admission, 0, { limits, prompt: 100, maxTokens: 900 })
    expect(refusalOf(() => ask(admission, 0, { limits })).code).toBe('RATE_LIMITED')
    ticket?.end(50, micros(0))
    expect(admission.rateState('a', micros(0)).tokens?.remaining).toBe(850)
  })

  it('let in what is larger than the limit when nothing was used, and make the next one wait', () => {
    const admission = new Admission(ample)
    const limits = { tokensPerMinute: 100 }
    ask(admission, 0, { limits, prompt: 190 })
    expect(refusalOf(() => ask(admission, 60 * second, { limits })).retryAfter).toBe(12 * second)
  })

  it('are told in the headers that clients of OpenAI know', () => {
    const admission = new Admission(ample)
    expect(rateHeaders(admission.rateState('nobody', micros(0)))).toEqual({})
    ask(admission, 0, { limits: { requestsPerMinute: 2, tokensPerMinute: 120 } })
    expect(rateHeaders(admission.rateState('a', micros(0)))).toEqual({
      'x-ratelimit-limit-requests': '2',
      'x-ratelimit-remaining-requests': '1',
      'x-ratelimit-reset-requests': '30s',
      'x-ratelimit-limit-tokens': '120',
      'x-ratelimit-remaining-tokens': '100',
      'x-ratelimit-reset-tokens': '10s',
    })
    expect([20_000, 1_500_000, 360_000_000].map((value) => durationText(micros(value)))).toEqual([
      '20ms',
      '1.5s',
      '6m0s',
    ])
  })
})

describe('targets', () => {
  /** Prompts get their first token at 100 tokens a second for ten seconds. */
  function experienced(): { readonly admission: Admission; readonly now: number } {
    const admission = new Admission(ample)
    const tickets = ask(admission, 0, { tenant: 'past', prompt: 100, n: 10 })
    tickets.forEach((ticket, index) => {
      ticket.noteFirstToken(micros((index + 1) * second))
      ticket.end(1, micros((index + 1) * second))
    })
    return { admission, now: 10 * second }
  }

  it('refuse nobody before anything is known', () => {
    const admission = new Admission(ample)
    ask(admission, 0, { n: 50, prompt: 1000 })
    ask(admission, 0, { ttftTarget: 1 })
  })

  it('refuse at once what would come too late by more than the tolerance', () => {
    const { admission, now } = experienced()
    ask(admission, now, { prompt: 200 })
    ask(admission, now, { prompt: 100, ttftTarget: 2.1 * second })[0]?.end(0, micros(now))
    const { code, message, retryAfter } = refusalOf(() =>
      ask(admission, now, { prompt: 100, ttftTarget: 1.5 * second }),
    )
    expect(code).toBe('TOO_LATE')
    expect(message).toMatch(/in 3\d\d\d ms; the request wants it in 1500 ms/)
    expect(retryAfter).toBeGreaterThan(second)
    ask(admission, now, { prompt: 100 })
  })

  it('know that a flood of one tenant costs another little', () => {
    const { admission, now } = experienced()
    ask(admission, now, { tenant: 'flood', prompt: 500, n: 20 })
    expect(refusalOf(() => ask(admission, now, { tenant: 'flood', ttftTarget: 10 * second })).code).toBe(
      'TOO_LATE',
    )
    ask(admission, now, { tenant: 'other', prompt: 100, ttftTarget: 2 * second })
  })
})
