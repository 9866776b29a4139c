import type { CodePointSet } from './code-points.ts'

/** Ranges of bytes one behind the other: all texts that take one byte of each. */
export type ByteSequence = readonly (readonly [from: number, to: number])[]

/** Last code point of each encoded length. */
const lasts = [0x7f, 0x7ff, 0xffff, 0x10ffff] as const

/**
 * The UTF-8 encodings of a set as sequences of byte ranges, in order. The way of Go's and Rust's regular expressions
 * (`utf8-ranges`): cut ranges until their ends differ in trailing bytes only over whole ranges.
 */
export function utf8Sequences(set: CodePointSet): ByteSequence[] {
  return set.flatMap(([from, to]) => {
    const sequences: ByteSequence[] = []
    let start = from
    for (const end of lasts) {
      if (start > end || start > to) continue
      cut(start, Math.min(end, to), sequences)
      start = end + 1
    }
    return sequences
  })
}

function cut(from: number, to: number, out: ByteSequence[]): void {
  const length = encode(from).length
  for (let numTrailing = 1; numTrailing < length; numTrailing += 1) {
    const mask = 2 ** (6 * numTrailing) - 1
    if (Math.floor(from / (mask + 1)) === Math.floor(to / (mask + 1))) continue
    if ((from & mask) !== 0) {
      cut(from, from | mask, out)
      cut((from | mask) + 1, to, out)
      return
    }
    if ((to & mask) !== mask) {
      cut(from, (to & ~mask) - 1, out)
      cut(to & ~mask, to, out)
      return
    }
  }
  const first = encode(from)
  const second = encode(to)
  out.push(first.map((byte, index) => [byte, second[index]!] as const))
}

function encode(codePoint: number): number[] {
  const trailing = (shift: number): number => 0x80 | ((codePoint >> shift) & 0x3f)
  if (codePoint <= lasts[0]) return [codePoint]
  if (codePoint <= lasts[1]) return [0xc0 | (codePoint >> 6), trailing(0)]
  if (codePoint <= lasts[2]) return [0xe0 | (codePoint >> 12), trailing(6), trailing(0)]
  return [0xf0 | (codePoint >> 18), trailing(12), trailing(6), trailing(0)]
}

/** The bytes of a text; a lone surrogate becomes U+FFFD. */
export function utf8Bytes(text: string): number[] {
  return Array.from(text, (character) => {
    const codePoint = character.codePointAt(0)!
    return encode(codePoint >= 0xd800 && codePoint <= 0xdfff ? 0xfffd : codePoint)
  }).flat()
}
