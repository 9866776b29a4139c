import type { FreeText } from '../core/grammar-spec.ts'
import { codePointsOf, complement } from './code-points.ts'
import { character, choice, empty, rule, sequence, text, type GrammarNode } from './node.ts'

const spaces = ' \n\t\r'

/**
 * Any text up to the first `marker`, and that; or any that does not say it. The automaton of Knuth, Morris and Pratt, a
 * rule for each state. Adds its rules to `rules`.
 */
export function freeNode(
  { kind, marker, notFirst = '' }: { readonly kind: 'until' | 'without' } & FreeText,
  rules: Map<string, GrammarNode>,
): GrammarNode {
  const characters = [...marker]
  const name = (state: number | 'start'): string => `${kind} ${JSON.stringify([marker, notFirst])} ${state}`
  const end: GrammarNode[] =
    kind === 'without' ? [empty] : marker === '' ? [] : [{ kind: 'special', text: marker }]
  const others = (texts: string): GrammarNode =>
    sequence(character(complement(codePointsOf(marker + texts))), rule(name(0)))
  const markerFrom = (state: number): GrammarNode[] =>
    [...new Set(characters)].flatMap((next): GrammarNode[] => {
      const reached = matchedAfter(characters, state, next)
      if (reached < characters.length) return [sequence(text(next), rule(name(reached)))]
      return kind === 'until' ? [text(next)] : []
    })
  for (let state = 0; state < Math.max(1, characters.length); state += 1) {
    rules.set(name(state), choice([...markerFrom(state), others(''), ...end]))
  }
  if (notFirst === '') return rule(name(0))
  const space = sequence(character(codePointsOf(spaces)), rule(name('start')))
  rules.set(name('start'), choice([...markerFrom(0), space, others(spaces + notFirst), ...end]))
  return rule(name('start'))
}

/** How much of the marker has been seen when `next` comes behind its first `length` characters. */
function matchedAfter(marker: readonly string[], length: number, next: string): number {
  const seen = [...marker.slice(0, length), next]
  for (let count = Math.min(seen.length, marker.length); count > 0; count -= 1) {
    if (marker.slice(0, count).join('') === seen.slice(seen.length - count).join('')) return count
  }
  return 0
}
