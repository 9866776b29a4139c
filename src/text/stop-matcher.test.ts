import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { StopMatcher } from './stop-matcher.ts'

/** The rule spelled out: the first prefix that ends with a stop string, cut before the longest that it ends with. */
function cutWhole(text: string, stops: readonly string[]): { text: string; stopped: boolean } {
  for (let end = 1; end <= text.length; end++) {
    const prefix = text.slice(0, end)
    const found = stops.filter((stop) => stop !== '' && prefix.endsWith(stop))
    if (found.length > 0) {
      return { text: prefix.slice(0, end - Math.max(...found.map((stop) => stop.length))), stopped: true }
    }
  }
  return { text, stopped: false }
}

function run(chunks: readonly string[], stops: readonly string[]): { text: string; stopped: boolean } {
  const matcher = new StopMatcher(stops)
  let text = ''
  for (const chunk of chunks) {
    const result = matcher.push(chunk)
    text += result.text
    if (result.stopped) return { text, stopped: true }
  }
  return { text: text + matcher.flush(), stopped: false }
}

// Few letters, so that stop strings overlap themselves and each other.
const word = (maxLength: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength })

describe('StopMatcher', () => {
  it('gives what a search of the whole text gives, however the text is cut', () => {
    fc.assert(
      fc.property(
        fc.array(word(4), { maxLength: 12 }),
        fc.array(word(4), { maxLength: 4 }),
        (chunks, stops) => {
          expect(run(chunks, stops)).toEqual(cutWhole(chunks.join(''), stops))
        },
      ),
      { numRuns: 2000 },
    )
  })

  it('never emits text that a stop string found later begins with', () => {
    fc.assert(
      fc.property(
        fc.array(word(3), { maxLength: 12 }),
        fc.array(word(5), { maxLength: 3 }),
        (chunks, stops) => {
          const final = cutWhole(chunks.join(''), stops).text
          const matcher = new StopMatcher(stops)
          let emitted = ''
          for (const chunk of chunks) {
            emitted += matcher.push(chunk).text
            expect(final.startsWith(emitted)).toBe(true)
          }
        },
      ),
    )
  })

  it('holds back no more than may still become a stop string', () => {
    const matcher = new StopMatcher(['\n\nUser:'])
    expect(matcher.push('Hello\n')).toEqual({ text: 'Hello', stopped: false })
    expect(matcher.push('there')).toEqual({ text: '\nthere', stopped: false })
    expect(matcher.push('\n\nUs')).toEqual({ text: '', stopped: false })
    expect(matcher.push('er: hi')).toEqual({ text: '', stopped: true })
    expect(matcher.matched).toBe('\n\nUser:')
  })

  it('says nothing after it stopped', () => {
    const matcher = new StopMatcher(['x'])
    expect(matcher.push('axb')).toEqual({ text: 'a', stopped: true })
    expect(matcher.push('more')).toEqual({ text: '', stopped: true })
    expect(matcher.flush()).toBe('')
  })

  it('gives back what it held when the stream ends', () => {
    const matcher = new StopMatcher(['abc'])
    expect(matcher.push('xab').text).toBe('x')
    expect(matcher.flush()).toBe('ab')
  })

  it('passes everything through without stop strings', () => {
    const matcher = new StopMatcher(['', ''])
    expect(matcher.push('anything')).toEqual({ text: 'anything', stopped: false })
    expect(matcher.flush()).toBe('')
  })
})
