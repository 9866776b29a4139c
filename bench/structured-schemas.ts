/** Schemas of growing difficulty, as they come in requests. */

const point = {
  type: 'object',
  properties: { x: { type: 'number' }, y: { type: 'number' } },
  required: ['x', 'y'],
  additionalProperties: false,
}

const kinds: readonly object[] = [
  { type: 'string', maxLength: 20 },
  { type: 'integer' },
  { type: 'boolean' },
  { type: 'number', minimum: 0, maximum: 100 },
  { enum: ['red', 'green', 'blue'] },
  { type: 'array', items: { type: 'string', maxLength: 10 }, maxItems: 3 },
  point,
  { type: 'string', pattern: '^[A-Z]{2}-\\d{4}$' },
  { anyOf: [{ type: 'string', maxLength: 8 }, { type: 'null' }] },
  { type: 'string', format: 'date' },
]

const fieldsOf = (count: number, kindOf: (index: number) => object): object => {
  const properties = Object.fromEntries(
    Array.from({ length: count }, (_, index) => [`field_${index}`, kindOf(index)]),
  )
  return { type: 'object', properties, required: Object.keys(properties), additionalProperties: false }
}

export const thirtyFields: object = fieldsOf(30, (index) => kinds[index % kinds.length]!)

const tree = {
  $ref: '#/$defs/node',
  $defs: {
    node: {
      type: 'object',
      properties: {
        name: { type: 'string', maxLength: 5 },
        children: { type: 'array', items: { $ref: '#/$defs/node' }, maxItems: 2 },
      },
      required: ['name', 'children'],
      additionalProperties: false,
    },
  },
}
const shapes = {
  anyOf: ['circle', 'square'].map((kind) => ({
    type: 'object',
    properties: { kind: { const: kind }, size: { type: 'integer', minimum: 1, maximum: 50 } },
    required: ['kind', 'size'],
    additionalProperties: false,
  })),
}

export const schemas: Readonly<Record<string, object>> = {
  'a boolean': { type: 'boolean' },
  'an integer': { type: 'integer' },
  'a number': { type: 'number' },
  'a string': { type: 'string' },
  'a constant': { const: 'yes' },
  'an enumeration': { enum: ['red', 'green', 'blue', 7, null] },
  'several types': { type: ['string', 'integer', 'null'] },
  'an integer from 17 to 4711': { type: 'integer', minimum: 17, maximum: 4711 },
  'a number from -1.5 to 0.25': { type: 'number', minimum: -1.5, maximum: 0.25 },
  'a number above 0': { type: 'number', exclusiveMinimum: 0, maximum: 9 },
  'a string of at most 20': { type: 'string', maxLength: 20 },
  'a string of 50 to 200': { type: 'string', minLength: 50, maxLength: 200 },
  'a pattern': { type: 'string', pattern: '^[a-z]{2,8}@[a-z]+\\.(com|org)$' },
  'a pattern anywhere': { type: 'string', pattern: '\\d{3}' },
  'a date': { type: 'string', format: 'date' },
  'a date and time': { type: 'string', format: 'date-time' },
  'a UUID': { type: 'string', format: 'uuid' },
  'an object': point,
  'an object with optional properties': { ...point, required: [] },
  'an object with others': { ...point, additionalProperties: { type: 'boolean' } },
  'any object': { type: 'object' },
  'a list': { type: 'array', items: { type: 'integer' } },
  'a list of 2 to 5': { type: 'array', items: { type: 'boolean' }, minItems: 2, maxItems: 5 },
  'a tuple': {
    type: 'array',
    prefixItems: [{ type: 'string', maxLength: 5 }, { type: 'integer' }],
    items: false,
  },
  'alternatives by a constant': shapes,
  'one of two types': { oneOf: [{ type: 'integer' }, { type: 'boolean' }] },
  'a conjunction': { allOf: [point, { type: 'object', properties: { x: { minimum: 0, maximum: 1 } } }] },
  'a recursive tree': tree,
  'ten fields': fieldsOf(10, (index) => kinds[index]!),
  'thirty fields': thirtyFields,
  'thirty optional fields': { ...thirtyFields, required: ['field_0'] },
  'objects within objects': fieldsOf(4, () => fieldsOf(4, () => shapes)),
}
