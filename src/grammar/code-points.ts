/** Sets of Unicode characters, as sorted ranges that do not touch. Surrogates are no characters. */
export type CodePointSet = readonly CodePointRange[]
/** First and last, both included. */
export type CodePointRange = readonly [from: number, to: number]

const last = 0x10ffff
const surrogates: CodePointRange = [0xd800, 0xdfff]

/** The union of ranges in any order, without what is no character. */
export function codePoints(...ranges: readonly CodePointRange[]): CodePointSet {
  return withoutRange(merged(ranges), surrogates)
}

export function anyCodePoint(): CodePointSet {
  return codePoints([0, last])
}

/** The characters of a text. */
export function codePointsOf(text: string): CodePointSet {
  return codePoints(
    ...Array.from(text, (character): CodePointRange => [
      character.codePointAt(0)!,
      character.codePointAt(0)!,
    ]),
  )
}

export function union(...sets: readonly CodePointSet[]): CodePointSet {
  return merged(sets.flat())
}

export function difference(set: CodePointSet, without: CodePointSet): CodePointSet {
  return without.reduce(withoutRange, set)
}

export function complement(set: CodePointSet): CodePointSet {
  return difference(anyCodePoint(), set)
}

export function intersection(a: CodePointSet, b: CodePointSet): CodePointSet {
  return difference(a, complement(b))
}

function merged(ranges: readonly CodePointRange[]): CodePointSet {
  const result: [number, number][] = []
  for (const [from, to] of ranges.toSorted((a, b) => a[0] - b[0])) {
    const before = result.at(-1)
    if (from > to) continue
    if (before !== undefined && from <= before[1] + 1) before[1] = Math.max(before[1], to)
    else result.push([from, to])
  }
  return result
}

function withoutRange(set: CodePointSet, [from, to]: CodePointRange): CodePointSet {
  return set.flatMap((range): CodePointRange[] => {
    if (range[1] < from || range[0] > to) return [range]
    const rest: CodePointRange[] = []
    if (range[0] < from) rest.push([range[0], from - 1])
    if (range[1] > to) rest.push([to + 1, range[1]])
    return rest
  })
}
