import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createFramer, type FramedRecord } from './framing.ts'

function frame(framing: 'lines' | 'objects', chunks: readonly string[], limit?: number): FramedRecord[] {
  const framer = createFramer(framing, limit)
  return [...chunks.flatMap((chunk) => [...framer.push(chunk)]), ...framer.end()]
}

/** The text cut at the given places. */
const cut = (text: string, places: readonly number[]): string[] => {
  const sorted = [...new Set(places.map((place) => place % (text.length + 1)))].toSorted((a, b) => a - b)
  return [0, ...sorted].map((from, index) => text.slice(from, sorted[index]))
}

describe('lines', () => {
  it('are the same however the text is cut into chunks', () => {
    const text = fc.array(fc.constantFrom('a', 'bc', '\n', '\r\n', ''), { maxLength: 30 })
    fc.assert(
      fc.property(text, fc.array(fc.nat(60)), (parts, places) => {
        const whole = parts.join('')
        const expected = whole.split('\n').map((line) => line.replace(/\r$/, ''))
        if (expected.at(-1) === '' && !whole.endsWith('\r')) expected.pop()
        expect(frame('lines', cut(whole, places)).map(({ text: line }) => line)).toEqual(expected)
      }),
    )
  })

  it('that are too long are skipped and keep their number', () => {
    const records = frame('lines', ['ab', 'cdef', 'gh\nx\nlonger', '\n'], 5)
    expect(records).toEqual([
      { line: 1, text: undefined },
      { line: 2, text: 'x' },
      { line: 3, text: undefined },
    ])
  })
})

describe('objects', () => {
  it('come out of arrays and of lines, however the text is cut, with the lines they begin on', () => {
    const value = fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.object({ maxDepth: 2 })))
    fc.assert(
      fc.property(fc.array(value), fc.boolean(), fc.array(fc.nat(500)), (values, isArray, places) => {
        const text = isArray
          ? JSON.stringify(values, null, 1)
          : values.map((one) => JSON.stringify(one)).join('\n')
        const records = frame('objects', cut(text, places))
        expect(records.map((record) => JSON.parse(record.text!) as unknown)).toEqual(
          JSON.parse(JSON.stringify(values)),
        )
        const lines = text.split('\n')
        for (const { line } of records) expect(lines[line - 1]).toContain('{')
      }),
    )
  })

  it('that never end are one record, and those that are too long are skipped', () => {
    expect(frame('objects', ['[{"a": 1}, {"b": "}'])).toEqual([
      { line: 1, text: '{"a": 1}' },
      { line: 1, text: '{"b": "}' },
    ])
    expect(frame('objects', ['[{"a": "123456', '789"},\n{"b":2}]'], 10)).toEqual([
      { line: 1, text: undefined },
      { line: 2, text: '{"b":2}' },
    ])
  })
})
