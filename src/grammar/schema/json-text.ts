/** JSON as text: white space, strings and what stands in them, literals. */
import { codePoints, codePointsOf, difference, intersection, anyCodePoint } from '../code-points.ts'
import { character, choice, empty, repeat, sequence, text, type GrammarNode } from '../node.ts'

/** None, a space, or a new line with its indentation: a text cannot be put off for ever by white space. */
export const space: GrammarNode = choice([
  empty,
  text(' '),
  sequence(text('\n'), repeat(character(codePointsOf(' \t')), 0, 20)),
])

/** Characters that stand for themselves in a string. */
const plain = difference(anyCodePoint(), codePoints([0, 0x1f], [0x22, 0x22], [0x5c, 0x5c]))
const escaped = difference(anyCodePoint(), plain)
const hex = character(codePoints([0x30, 0x39], [0x41, 0x46], [0x61, 0x66]))

/** Any character of a string, in any of its notations. Halves of surrogate pairs are left out: they count as one. */
const stringCharacter = choice([
  character(plain),
  sequence(
    text('\\'),
    choice([
      character(codePointsOf('"\\/bfnrt')),
      sequence(
        text('u'),
        choice([
          sequence(
            character(codePoints([0x30, 0x39], [0x41, 0x43], [0x45, 0x46], [0x61, 0x63], [0x65, 0x66])),
            hex,
          ),
          sequence(character(codePointsOf('dD')), character(codePoints([0x30, 0x37]))),
        ]),
        hex,
        hex,
      ),
    ]),
  ),
])

/** A string of so many characters. */
export function stringOfLength(min: number, max: number): GrammarNode {
  return quoted(repeat(stringCharacter, min, max))
}

/** Characters of a string that need no escape: one way only to write each. */
export function plainString(content: GrammarNode): GrammarNode {
  return quoted(content)
}

export const plainCharacters = plain

/** A string whose value, not its notation, matches `value`. */
export function stringMatching(value: GrammarNode): GrammarNode {
  return quoted(jsonEncoded(value))
}

/** One value. */
export function literal(value: unknown): GrammarNode {
  return text(JSON.stringify(value))
}

function quoted(content: GrammarNode): GrammarNode {
  return sequence(text('"'), content, text('"'))
}

function jsonEncoded(node: GrammarNode): GrammarNode {
  switch (node.kind) {
    case 'text':
      return text(JSON.stringify(node.text).slice(1, -1))
    case 'character': {
      const escapes = intersection(node.set, escaped).flatMap(([from, to]) =>
        Array.from({ length: to - from + 1 }, (_, offset) => {
          const written = JSON.stringify(String.fromCodePoint(from + offset))
          return text(written.slice(1, -1))
        }),
      )
      return choice([character(intersection(node.set, plain)), ...escapes])
    }
    case 'sequence':
      return sequence(...node.parts.map(jsonEncoded))
    case 'choice':
      return choice(node.options.map(jsonEncoded))
    case 'repeat':
      return repeat(jsonEncoded(node.part), node.min, node.max)
    case 'rule':
    case 'special':
      return node
    default:
      return node satisfies never
  }
}
