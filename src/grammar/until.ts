import { codePointsOf, complement } from './code-points.ts'
import { choice, rule, sequence, text, type GrammarNode } from './node.ts'

/**
 * Any text up to the first `marker`, and that: the automaton of Knuth, Morris and Pratt, a rule for each state. Adds
 * its rules to `rules`.
 */
export function untilNode(marker: string, rules: Map<string, GrammarNode>): GrammarNode {
  const characters = [...marker]
  const name = (length: number): string => `until ${marker} ${length}`
  for (const length of characters.keys()) {
    const known = [...new Set(characters)].map((next): GrammarNode => {
      const reached = matchedAfter(characters, length, next)
      return reached === characters.length ? text(next) : sequence(text(next), rule(name(reached)))
    })
    const other = { kind: 'character', set: complement(codePointsOf(marker)) } as const
    rules.set(name(length), choice([...known, sequence(other, rule(name(0)))]))
  }
  return characters.length === 0 ? text('') : rule(name(0))
}

/** How much of the marker has been seen when `next` comes behind its first `length` characters. */
function matchedAfter(marker: readonly string[], length: number, next: string): number {
  const seen = [...marker.slice(0, length), next]
  for (let count = Math.min(seen.length, marker.length); count > 0; count -= 1) {
    if (marker.slice(0, count).join('') === seen.slice(seen.length - count).join('')) return count
  }
  return 0
}
