import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { matches, randomWalk } from '../../test/support/grammar-walk.ts'
import type { GrammarSpec } from '../core/grammar-spec.ts'
import { checkSpec } from './read-spec.ts'

const regex = (pattern: string): GrammarSpec => ({ kind: 'regex', pattern })
const gbnf = (source: string): GrammarSpec => ({ kind: 'gbnf', source })

const refusal = (spec: GrammarSpec): string | undefined => {
  try {
    checkSpec(spec)
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

describe('a regular expression', () => {
  const atom = fc.constantFrom(
    'a',
    'b',
    'ü',
    '.',
    '\\d',
    '\\w',
    '\\s',
    '[a-c]',
    '[^a]',
    '[^\\d\\s]',
    '\\.',
    '\\u00e4',
    '日',
  )
  const { pattern } = fc.letrec<{ pattern: string }>((tie) => ({
    pattern: fc.oneof(
      { depthSize: 'small' },
      atom,
      fc.tuple(tie('pattern'), tie('pattern')).map(([a, b]) => a + b),
      fc.tuple(tie('pattern'), tie('pattern')).map(([a, b]) => `(${a}|${b})`),
      fc
        .tuple(tie('pattern'), fc.constantFrom('*', '+', '?', '{2}', '{1,3}', '{0,2}', '*?'))
        .map(([a, quantifier]) => `(?:${a})${quantifier}`),
    ),
  }))

  test('makes texts that it matches', () => {
    fc.assert(
      fc.property(pattern, fc.nat(), (given, seed) => {
        const walk = randomWalk(regex(given), seed, 60)
        if (walk.isComplete) expect(new RegExp(`^(?:${given})$`, 'u').test(walk.text), walk.text).toBe(true)
      }),
      { numRuns: 200 },
    )
  })

  test('takes the texts that JavaScript takes', () => {
    const texts = fc.array(fc.constantFrom('a', 'b', 'c', 'ü', 'ä', '1', ' ', '.', '日', '\n'), {
      maxLength: 5,
    })
    fc.assert(
      fc.property(pattern, texts, (given, characters) => {
        const text = characters.join('')
        expect(matches(regex(given), text)).toBe(new RegExp(`^(?:${given})$`, 'u').test(text))
      }),
      { numRuns: 500 },
    )
  })

  test.each([
    ['\\bword', 'word boundaries'],
    ['(a)\\1', 'back references'],
    ['(?!a)b', 'look-around'],
    ['a**', 'nothing to repeat'],
    ['(a', "')' is missing"],
    ['[a', 'too early'],
    ['a{3,1}', 'out of order'],
    ['\\p{L}', 'Unicode properties'],
    ['a|b)', "unexpected ')'"],
  ])('%s is refused: %s', (given, why) => {
    expect(refusal(regex(given))).toContain(why)
  })
})

describe('a GBNF grammar', () => {
  const arithmetic = `
    # sums
    root  ::= (expr "=" ws term "\\n")+
    expr  ::= term ([-+*/] term)*
    term  ::= ident | num |
              "(" ws expr ")" ws
    ident ::= [a-z] [a-z0-9_]* ws
    num   ::= [0-9]{1,4} ws
    ws    ::= [ \\t\\n]*`

  test('takes what it describes and nothing else', () => {
    expect(matches(gbnf(arithmetic), 'x +(12*y)= z\n')).toBe(true)
    expect(matches(gbnf(arithmetic), 'x + = z\n')).toBe(false)
    expect(matches(gbnf('root ::= "a"* [^a-z\\x00-\\x1f]? .'), 'aaB日')).toBe(true)
  })

  test.each([
    ['root ::= nope', 'no rule nope'],
    ['a ::= "b"', 'no rule root'],
    ['root ::= root "a"', 'refers to itself'],
    ['root ::= (="a")', 'lookahead'],
    ['root ::= <[12]>', 'tokens by number'],
    ['root ::= "a', 'line 1'],
    ['root ::= "a"\nroot ::= "b"', 'line 2'],
    ['root ::= a\na ::= a | a "x"', 'refers to itself'],
    ['root ::= "x" root', 'nothing matches'],
  ])('%s is refused: %s', (given, why) => {
    expect(refusal(gbnf(given))).toContain(why)
  })

  test('survives any text', () => {
    const pieces = fc.constantFrom(
      'root',
      ' ::= ',
      '"a"',
      '[a-',
      ']',
      '(',
      ')',
      '|',
      '*',
      '{2,',
      '}',
      '\n',
      '\\',
      '#',
      'é',
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(pieces).map((parts) => parts.join('')),
        ),
        (source) => {
          const message = refusal(gbnf(source))
          expect(message === undefined || message.length > 5).toBe(true)
          refusal(regex(source))
        },
      ),
      { numRuns: 1000 },
    )
  })
})

test('parts of different notations follow one another', () => {
  const spec: GrammarSpec = {
    kind: 'sequence',
    parts: [
      { kind: 'choice', options: ['yes', 'no'] },
      {
        kind: 'repeat',
        part: { kind: 'jsonSchema', schema: { type: 'array', items: { type: 'boolean' } } },
        min: 1,
        max: 2,
      },
      { kind: 'anyOf', options: [{ kind: 'jsonObject' }, gbnf('root ::= "." space\nspace ::= "!"')] },
    ],
  }
  expect(matches(spec, 'no[true][].!')).toBe(true)
  expect(matches(spec, 'yes[]{"a": {"b": []}}')).toBe(true)
  expect(matches(spec, 'yes.!')).toBe(false)
})
