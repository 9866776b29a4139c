import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { IncrementalDetokenizer } from './incremental-detokenizer.ts'

/** A tokenizer whose token ids are indices into the given chunks of bytes. */
function chunkTokenizer(chunks: readonly Uint8Array[]): { pieceBytes(tokenId: number): Uint8Array } {
  return { pieceBytes: (tokenId) => chunks[tokenId] ?? new Uint8Array(0) }
}

function stream(chunks: readonly Uint8Array[]): string[] {
  const detokenizer = new IncrementalDetokenizer(chunkTokenizer(chunks))
  return [...chunks.map((_, token) => detokenizer.push(token)), detokenizer.flush()]
}

function cutAt(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length]
  return places.slice(1).map((end, index) => bytes.slice(places[index], end))
}

const wholeText = (bytes: Uint8Array): string => new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
const cuts = fc.array(fc.nat(), { maxLength: 20 })

describe('IncrementalDetokenizer', () => {
  it('gives the same text however the bytes are cut into tokens', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), cuts, (text, places) => {
        const chunks = cutAt(new TextEncoder().encode(text), places)
        expect(stream(chunks).join('')).toBe(text)
      }),
    )
  })

  it('replaces invalid bytes exactly as decoding the whole does', () => {
    // Mostly lead and continuation bytes, so that broken characters of every length come up.
    const byte = fc.oneof(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 0x80, max: 0xf5 }))
    fc.assert(
      fc.property(fc.array(byte, { maxLength: 40 }), cuts, (values, places) => {
        const bytes = Uint8Array.from(values)
        expect(stream(cutAt(bytes, places)).join('')).toBe(wholeText(bytes))
      }),
      { numRuns: 500 },
    )
  })

  it('never emits a part of a character', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 40 }), cuts, (text, places) => {
        for (const emitted of stream(cutAt(new TextEncoder().encode(text), places))) {
          expect(emitted).not.toContain('\ufffd')
          expect(emitted).not.toMatch(/\p{Surrogate}/u)
        }
      }),
    )
  })

  it('emits a character with the token that completes it', () => {
    const bytes = new TextEncoder().encode('a😀b')
    expect(stream([bytes.slice(0, 2), bytes.slice(2, 4), bytes.slice(4, 6)])).toEqual(['a', '', '😀b', ''])
  })

  it('ends a cut character with one replacement character and is ready for a new stream', () => {
    const tokenizer = chunkTokenizer([Uint8Array.of(0xf0, 0x9f), new TextEncoder().encode('ok')])
    const detokenizer = new IncrementalDetokenizer(tokenizer)
    expect(detokenizer.push(0)).toBe('')
    expect(detokenizer.flush()).toBe('\ufffd')
    expect(detokenizer.push(1)).toBe('ok')
  })

  it('keeps a byte order mark, which is text here', () => {
    expect(stream([Uint8Array.of(0xef, 0xbb), Uint8Array.of(0xbf, 0x61)]).join('')).toBe('\ufeffa')
  })

  it('asks for special tokens only when told to', () => {
    const tokenizer = {
      pieceBytes: (_: number, special?: boolean) => new TextEncoder().encode(special ? '<end>' : ''),
    }
    expect(new IncrementalDetokenizer(tokenizer).push(7)).toBe('')
    expect(new IncrementalDetokenizer(tokenizer, { special: true }).push(7)).toBe('<end>')
  })
})
