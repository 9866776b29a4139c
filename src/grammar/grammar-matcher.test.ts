import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { byteEngine, byteVocabulary, randomWalk } from '../../test/support/grammar-walk.ts'
import type { GrammarSpec } from '../core/grammar-spec.ts'
import { GrammarEngine } from './grammar-engine.ts'
import { MaskStore } from './mask-store.ts'
import type { MatcherState } from './matcher-state.ts'
import { specialPiece } from './special-piece.ts'
import { allows, toTokenMask } from './token-mask.ts'

const specs: readonly GrammarSpec[] = [
  { kind: 'jsonObject' },
  { kind: 'regex', pattern: '(a|ab|日本)*(?:x{2,4}|ü)?' },
  { kind: 'choice', options: ['true', 'truly', '日本語', ''] },
  { kind: 'gbnf', source: 'root ::= "(" root* ")" | [a-z]' },
  { kind: 'jsonSchema', schema: { type: 'object', properties: { a: { type: 'string', maxLength: 5 } } } },
]

describe('a matcher', () => {
  test('allows exactly the tokens that it would take', () => {
    fc.assert(
      fc.property(fc.constantFrom(...specs), fc.nat(), fc.nat(30), (spec, seed, length) => {
        const matcher = byteEngine.matcher(spec)
        for (const id of randomWalk(spec, seed, length).tokens) expect(matcher.accept(id)).toBe(true)
        const mask = matcher.mask()
        for (const id of byteVocabulary.pieces.keys()) {
          const before = matcher.numTokens
          const accepted = matcher.accept(id)
          expect(accepted).toBe(allows(mask, id))
          matcher.rollback(matcher.numTokens - before)
        }
      }),
      { numRuns: 60 },
    )
  })

  test('goes back and on again to the same masks', () => {
    fc.assert(
      fc.property(fc.constantFrom(...specs), fc.nat(), fc.nat(20), (spec, seed, back) => {
        const { tokens } = randomWalk(spec, seed, 40)
        const matcher = byteEngine.matcher(spec)
        const masks = tokens.map((id) => {
          const mask = matcher.mask()
          matcher.accept(id)
          return [...mask.allowed!]
        })
        const numBack = Math.min(back, tokens.length)
        matcher.rollback(numBack)
        for (const [index, id] of tokens.entries()) {
          if (index < tokens.length - numBack) continue
          expect([...matcher.mask().allowed!]).toEqual(masks[index])
          expect(matcher.accept(id)).toBe(true)
        }
      }),
      { numRuns: 60 },
    )
  })

  test('lets nothing but end tokens come behind an end token', () => {
    const matcher = byteEngine.matcher({ kind: 'choice', options: ['a'] })
    const [end] = byteVocabulary.endTokenIds as [number]
    expect(matcher.accept(end)).toBe(false)
    expect(matcher.accept(97)).toBe(true)
    expect([...matcher.mask().allowed!]).toEqual([end])
    expect(matcher.accept(end)).toBe(true)
    expect([...matcher.mask().allowed!]).toEqual([end])
  })

  test('says so when the vocabulary cannot spell what must follow', () => {
    const engine = new GrammarEngine({ pieces: [Uint8Array.of(97), new Uint8Array(0)], endTokenIds: [1] })
    const matcher = engine.matcher({ kind: 'choice', options: ['ab'] })
    matcher.accept(0)
    expect(() => matcher.mask()).toThrow('no token that may follow')
  })
})

describe('a special token', () => {
  const special = '<call>'
  const id = byteVocabulary.pieces.length
  const engine = new GrammarEngine({
    pieces: [...byteVocabulary.pieces, specialPiece(special)],
    endTokenIds: byteVocabulary.endTokenIds,
  })
  const takes = (spec: GrammarSpec, ...parts: readonly (string | number)[]): boolean => {
    const matcher = engine.matcher(spec)
    const tokens = parts.flatMap((part) =>
      typeof part === 'number' ? [part] : [...new TextEncoder().encode(part)],
    )
    return (
      tokens.every((token) => allows(matcher.mask(), token) && matcher.accept(token)) && matcher.isComplete
    )
  }

  test('stands for its text where a grammar asks for a marker', () => {
    const until: GrammarSpec = { kind: 'until', marker: special }
    expect(takes(until, 'Well', id)).toBe(true)
    expect(takes(until, 'Well <call>')).toBe(true)
    expect(takes(until, 'Well <call', id)).toBe(true)
    expect(takes({ kind: 'marker', text: special }, id)).toBe(true)
    expect(takes({ kind: 'marker', text: special }, special)).toBe(true)
  })

  test('is no part of any other text', () => {
    expect(takes({ kind: 'choice', options: [special] }, id)).toBe(false)
    expect(takes({ kind: 'regex', pattern: '[\\s\\S]*' }, id)).toBe(false)
    expect(takes({ kind: 'without', marker: special }, 'Well <cal <<call')).toBe(true)
    expect(takes({ kind: 'without', marker: special }, id)).toBe(false)
    expect(takes({ kind: 'without', marker: special }, 'Well <<call>')).toBe(false)
  })
})

describe('a hostile grammar', () => {
  test.each([
    'root ::= a+\na ::= ("x" | "x" a)? "x" a?',
    'root ::= ("a"? "a"? "a"? "a"? "a"? "a"? "a"? "a"?)* b*\nb ::= "a" b "a" | "a" b "b" | "a"',
    'root ::= s\ns ::= "a" s s? s? "b"? | "a"',
  ])(
    '%j costs a bounded time, or is told to be too ambiguous',
    (source) => {
      const startedAt = performance.now()
      const matcher = byteEngine.matcher({ kind: 'gbnf', source })
      try {
        for (let step = 0; step < 200; step += 1) {
          const { allowed } = matcher.mask()
          if (!matcher.accept(allowed![0]!)) break
        }
      } catch (error) {
        expect((error as Error).message).toContain('too many ways')
      }
      expect(performance.now() - startedAt).toBeLessThan(10_000)
    },
    20_000,
  )
})

test('masks are kept up to a number of bytes, and found again', () => {
  const store = new MaskStore(100)
  const state = (): MatcherState => ({
    isComplete: false,
    threads: [],
    next: [],
    mask: toTokenMask(new Uint32Array(8), 256),
  })
  const states = Array.from({ length: 4 }, state)
  for (const one of states) store.add(one)
  expect(store.numBytes).toBeLessThanOrEqual(1100)
  expect(states.map(({ mask }) => mask !== undefined)).toEqual([false, false, false, true])
})
