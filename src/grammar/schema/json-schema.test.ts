import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { matches, randomWalk } from '../../../test/support/grammar-walk.ts'
import { checkSpec } from '../read-spec.ts'

const ajv = new Ajv2020({ strict: false })
addFormats.default(ajv)

const word = fc.constantFrom('a', 'ab', 'name', 'wert ü', 'a"b', '日')
const scalar = fc.oneof(fc.constant(null), fc.boolean(), fc.integer(), word)
const bounds = fc
  .tuple(
    fc.integer({ min: -1200, max: 1200 }),
    fc.integer({ min: 0, max: 3000 }),
    fc.constantFrom(1, 10, 100),
  )
  .map(([low, width, scale]): [number, number] => [low / scale, (low + width) / scale])

const leaf: fc.Arbitrary<object> = fc.oneof(
  fc.constantFrom(
    { type: 'string' },
    { type: 'boolean' },
    { type: 'null' },
    { type: 'integer' },
    { type: 'number' },
    {},
  ),
  fc
    .constantFrom('date', 'time', 'date-time', 'duration', 'email', 'hostname', 'ipv4', 'ipv6', 'uuid', 'uri')
    .map((format) => ({ type: 'string', format })),
  fc
    .constantFrom('^a+b?$', 'x', '^[^"]{2,4}$', '^\\d{3}-\\w+$', '(foo|bar)$', '^[\\s\\S]$')
    .map((pattern) => ({ type: 'string', pattern })),
  fc
    .tuple(fc.nat(4), fc.nat(12))
    .map(([min, more]) => ({ type: 'string', minLength: min, maxLength: min + more })),
  bounds.map(([minimum, maximum]) => ({ type: 'number', minimum, maximum })),
  bounds.map(([exclusiveMinimum, max]) => ({
    type: 'number',
    exclusiveMinimum,
    exclusiveMaximum: max + 0.5,
  })),
  bounds.map(([low, high]) => ({ type: 'integer', minimum: low, maximum: high + 1 })),
  bounds.map(([low]) => ({ type: 'integer', exclusiveMinimum: low })),
  bounds.map(([low]) => ({ type: 'number', maximum: low })),
  fc.array(scalar, { minLength: 1, maxLength: 4 }).map((values) => ({ enum: values })),
  scalar.map((value) => ({ const: value })),
  fc
    .tuple(fc.constantFrom(2, 5, 0.5, 0.01, 7), bounds)
    .map(([multipleOf, [minimum, maximum]]) => ({ type: 'number', multipleOf, minimum, maximum })),
  fc
    .record({
      values: fc.array(scalar, { minLength: 1, maxLength: 5 }),
      minItems: fc.nat(2),
      more: fc.nat(3),
    })
    .map(({ values, minItems, more }) => ({
      type: 'array',
      items: { enum: values },
      uniqueItems: true,
      minItems,
      maxItems: minItems + more,
    })),
  fc.constant({ type: ['string', 'null'], maxLength: 3 }),
)

const { schema } = fc.letrec<{ schema: object }>((tie) => ({
  schema: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc
      .record({
        names: fc.uniqueArray(word, { maxLength: 4 }),
        values: fc.array(tie('schema'), { minLength: 4, maxLength: 4 }),
        required: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
        additional: fc.oneof(fc.constantFrom(undefined, false, true), tie('schema')),
      })
      .map(({ names, values, required, additional }) => ({
        type: 'object',
        properties: Object.fromEntries(names.map((name, index) => [name, values[index]])),
        required: names.filter((_, index) => required[index]),
        ...(additional === undefined ? {} : { additionalProperties: additional }),
      })),
    fc
      .record({
        pattern: fc.constantFrom('^x-', '^[a-f]{2}$', 'q'),
        value: tie('schema'),
        own: tie('schema'),
      })
      .map(({ pattern, value, own }) => ({
        type: 'object',
        properties: { wert: own },
        patternProperties: { [pattern]: value },
        required: ['wert'],
        additionalProperties: false,
      })),
    fc
      .record({ items: tie('schema'), minItems: fc.nat(3), more: fc.nat(3) })
      .map(({ items, minItems, more }) => ({ type: 'array', items, minItems, maxItems: minItems + more })),
    fc
      .record({ first: tie('schema'), second: tie('schema'), items: fc.constantFrom(undefined, false) })
      .map(({ first, second, items }) => ({
        type: 'array',
        prefixItems: [first, second],
        ...(items === false ? { items } : {}),
      })),
    fc.array(tie('schema'), { minLength: 1, maxLength: 3 }).map((anyOf) => ({ anyOf })),
    fc.tuple(tie('schema'), tie('schema')).map((allOf) => ({ allOf })),
  ),
}))

const refusal = (given: unknown): string | undefined => {
  try {
    checkSpec({ kind: 'jsonSchema', schema: given })
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

describe('texts of a JSON schema', () => {
  test('whatever is chosen of what is allowed, the text validates', () => {
    let numComplete = 0
    let numRefused = 0
    fc.assert(
      fc.property(schema, fc.nat(), (given, seed) => {
        if (refusal(given) !== undefined) {
          numRefused += 1
          return
        }
        const walk = randomWalk({ kind: 'jsonSchema', schema: given }, seed, 200)
        if (!walk.isComplete) return
        numComplete += 1
        const validates = ajv.compile(given)
        expect(validates(JSON.parse(walk.text)), `${walk.text} of ${JSON.stringify(given)}`).toBe(true)
      }),
      { numRuns: 150 },
    )
    expect(numComplete).toBeGreaterThan(50)
    expect(numRefused).toBeLessThan(80)
  }, 30_000)

  test.each<[unknown, string, string]>([
    [{ type: 'object', properties: { a: { type: 'integer' } }, required: ['a'] }, '{"a": 1}', '{"a": 1.5}'],
    [{ type: 'object', properties: { a: {}, b: {} } }, '{"b":null}', '{"b":null,"a":1}'],
    [
      { type: 'object', properties: { a: {} }, additionalProperties: true },
      '{"a":1,"ab":2}',
      '{"a":1,"a":2}',
    ],
    [{ type: 'string', maxLength: 2 }, '"\\n\\u00e4"', '"abc"'],
    [{ type: 'string', pattern: '^"$' }, '"\\""', '"\\u0022"'],
    [{ type: 'integer', minimum: 17, maximum: 123 }, '123', '16'],
    [{ type: 'number', exclusiveMinimum: 0, maximum: 0.25 }, '0.0001', '0'],
    [{ type: 'array', items: { type: 'null' }, minItems: 1, maxItems: 2 }, '[null, null]', '[]'],
    [{ enum: [1, 'a', { b: [2] }] }, '{"b":[2]}', '2'],
    [{ oneOf: [{ type: 'string' }, { type: 'null' }] }, 'null', 'true'],
    [{ type: 'number', multipleOf: 1 }, '12', '1.5'],
    [{ type: 'integer', multipleOf: 5, minimum: 0, maximum: 100 }, '35', '36'],
    [{ type: 'number', multipleOf: 0.25, exclusiveMinimum: 0, maximum: 1 }, '0.75', '0'],
    [{ type: 'array', items: { enum: ['a', 'b', 'c'] }, uniqueItems: true }, '["c", "a"]', '["a","b","a"]'],
    [
      {
        type: 'array',
        items: { $ref: '#/$defs/e' },
        uniqueItems: true,
        minItems: 2,
        $defs: { e: { enum: [1, 2] } },
      },
      '[2,1]',
      '[1]',
    ],
    [{ type: 'array', items: { type: 'boolean' }, uniqueItems: true }, '[false,true]', '[false,false]'],
    [{ patternProperties: { '^x-': { type: 'integer' } } }, '{"x-a":1,"x-":2}', '{"y":1}'],
    [
      {
        properties: { id: { type: 'integer' } },
        patternProperties: { '^[a-f]$': { type: 'null' } },
        required: ['id', 'c'],
      },
      '{"id":1,"c":null,"a":null}',
      '{"id":1,"a":null}',
    ],
    [
      {
        $ref: '#/$defs/list',
        $defs: {
          list: {
            anyOf: [
              { type: 'null' },
              { type: 'object', properties: { next: { $ref: '#/$defs/list' } }, required: ['next'] },
            ],
          },
        },
      },
      '{"next":{"next":null}}',
      '{"next":{}}',
    ],
    [
      {
        allOf: [
          { type: 'object', properties: { a: { type: 'number' } }, required: ['a'] },
          { properties: { a: { minimum: 5, maximum: 7 } } },
        ],
      },
      '{"a":6.5}',
      '{"a":4}',
    ],
    [
      { type: 'object', properties: { k: {}, v: {} }, anyOf: [{ required: ['k'] }, { required: ['v'] }] },
      '{"v":1}',
      '{}',
    ],
  ])('of %j one is %s, and %s is none', (given, good, bad) => {
    expect(matches({ kind: 'jsonSchema', schema: given }, good)).toBe(true)
    expect(matches({ kind: 'jsonSchema', schema: given }, bad)).toBe(false)
  })
})

describe('a schema that cannot be kept to', () => {
  test.each<[unknown, string]>([
    [{ not: {} }, "'not' at the root"],
    [
      { type: 'object', properties: { a: { type: 'array', uniqueItems: true } } },
      "'uniqueItems' at /properties/a",
    ],
    [{ type: 'number', multipleOf: 0.1 }, "'multipleOf' at the root"],
    [{ type: 'number', multipleOf: 0.001, minimum: 0, maximum: 100 }, "'multipleOf' at the root"],
    [{ type: 'object', patternProperties: { a: {}, b: {} } }, "'patternProperties'"],
    [{ type: 'object', properties: { cab: {} }, patternProperties: { a: {} } }, "'patternProperties'"],
    [{ patternProperties: { a: {} }, additionalProperties: true }, "'patternProperties'"],
    [{ allOf: [{ patternProperties: { a: {} } }, { properties: { b: {} } }] }, "'patternProperties'"],
    [{ type: 'array', uniqueItems: true, items: { type: 'string' } }, "'uniqueItems'"],
    [{ type: 'string', format: 'iri' }, "'format' at the root is not supported with the value 'iri'"],
    [{ type: 'string', pattern: '(?=a)' }, 'look-around'],
    [{ type: 'string', pattern: 'a', maxLength: 3 }, "'maxLength'"],
    [{ oneOf: [{ type: 'integer' }, { type: 'number' }] }, "'oneOf'"],
    [{ $ref: 'https://example.com/schema' }, "'$ref'"],
    [{ $ref: '#/nowhere' }, "'$ref'"],
    [{ $ref: '#' }, 'refers to itself'],
    [{ type: 'text' }, "'type'"],
    [{ type: 'string', minLength: -1 }, "'minLength'"],
    [{ type: 'integer', minimum: 3, maximum: 2 }, 'nothing matches'],
    [{ enum: [1], minimum: 3 }, "'minimum'"],
    [7, 'neither an object'],
  ])('%j is refused, naming %s', (given, named) => {
    expect(refusal(given)).toContain(named)
  })

  test('may list thousands of values', () => {
    const values = Array.from({ length: 5000 }, (_, n) => `item ${n}`)
    for (const given of [
      { enum: values },
      { type: 'integer', multipleOf: 3, minimum: -9000, maximum: 9000 },
    ]) {
      const { text, isComplete } = randomWalk({ kind: 'jsonSchema', schema: given }, 7)
      expect(isComplete && ajv.compile(given)(JSON.parse(text)), text).toBe(true)
    }
  })

  test('grows without bounds neither by nesting nor by unfolding', () => {
    const nested = Array.from({ length: 5000 }).reduce<object>(
      (inner) => ({ items: inner, type: 'array' }),
      {},
    )
    expect(refusal(nested)).toContain('nested too deeply')
    const doubling = Object.fromEntries(
      Array.from({ length: 40 }, (_, index) => {
        const next = { $ref: `#/$defs/d${index + 1}` }
        return [
          `d${index}`,
          { anyOf: [{ allOf: [next, { minimum: 1 }] }, { allOf: [next, { maximum: 9 }] }] },
        ]
      }),
    )
    const startedAt = performance.now()
    expect(refusal({ $ref: '#/$defs/d0', $defs: { ...doubling, d40: { type: 'integer' } } })).toContain('too')
    expect(refusal({ type: 'string', minLength: 1e9 })).toContain('repetitions')
    expect(performance.now() - startedAt).toBeLessThan(5000)
  })
})
