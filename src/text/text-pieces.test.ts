import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { pieceLength, specialsPattern, textPieces } from './text-pieces.ts'

const specials = specialsPattern(['<s>', '<|end|>', '', 'a.b'])

describe('textPieces', () => {
  it('loses and adds nothing, and keeps bounded pieces short', () => {
    const fragment = fc.oneof(
      fc.constantFrom('<s>', '<|end|>', '\n', ' ', '  ', 'word', '😀', 'a.b'),
      fc.string({ unit: 'grapheme', maxLength: 5 }),
    )
    fc.assert(
      fc.property(fc.array(fragment, { minLength: 1, maxLength: 30 }), fc.boolean(), (fragments, bounded) => {
        const text = fragments.join('').repeat(300)
        const pieces = textPieces(text, { specials, bounded })
        expect(pieces.join('')).toBe(text)
        for (const piece of pieces) {
          expect(piece).not.toMatch(/\p{Surrogate}/u)
          if (bounded) expect(piece.length).toBeLessThanOrEqual(pieceLength)
        }
      }),
      { numRuns: 50 },
    )
  })

  it('does not cut a short text', () => {
    const text = '<s>x'.repeat(1000)
    expect(textPieces(text, { specials, bounded: true })).toEqual([text])
  })

  it('cuts in front of every eighth special token', () => {
    const pieces = textPieces('<s>text '.repeat(2000), { specials, bounded: false })
    expect(pieces).toHaveLength(250)
    expect(new Set(pieces)).toEqual(new Set(['<s>text '.repeat(8)]))
  })

  it('reads special texts literally', () => {
    const text = 'axb'.repeat(2000)
    expect(textPieces(text, { specials, bounded: false })).toEqual([text])
  })

  it('prefers to cut behind a line break, then in front of a space', () => {
    const words = `${'word '.repeat(100).trim()}\n`
    for (const piece of textPieces(words.repeat(40), { specials: undefined, bounded: true }).slice(0, -1)) {
      expect(piece.endsWith('\n')).toBe(true)
    }
    for (const piece of textPieces('word '.repeat(4000), { specials: undefined, bounded: true }).slice(1)) {
      expect(piece.startsWith(' word')).toBe(true)
    }
  })
})
