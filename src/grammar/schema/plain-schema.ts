/**
 * One schema without references and alternatives, read field by field, and the conjunction of several: what holds for
 * a value when all of them do.
 */
import {
  keywordError,
  isObject,
  sameJson,
  typeNames,
  typesOf,
  wantsIntegers,
  type JsonObject,
  type TypeName,
} from './keywords.ts'

export type SubSchema = unknown

export interface PlainSchema {
  /** Undefined: any type. */
  readonly types: ReadonlySet<TypeName> | undefined
  /** All values there are; undefined: no list. */
  readonly values: readonly unknown[] | undefined
  readonly properties: ReadonlyMap<string, SubSchema>
  /** It has a list of properties, if an empty one. */
  readonly listsProperties: boolean
  /** By regular expression. */
  readonly patternProperties: ReadonlyMap<string, SubSchema>
  readonly required: ReadonlySet<string>
  /** Undefined: not said. */
  readonly additional: SubSchema | undefined
  readonly prefixItems: readonly SubSchema[]
  readonly items: SubSchema | undefined
  readonly minItems: number
  readonly maxItems: number
  /** No two are alike. */
  readonly areItemsUnique: boolean
  readonly minLength: number
  readonly maxLength: number
  readonly patterns: readonly string[]
  readonly formats: readonly string[]
  readonly minimum: number
  readonly maximum: number
  readonly excludesMinimum: boolean
  readonly excludesMaximum: boolean
  /** A number is a multiple of each; all above 0. */
  readonly divisors: readonly number[]
}

/** @throws {ServingError} INVALID_REQUEST naming a keyword whose value is not what it must be. */
export function readPlainSchema(schema: JsonObject, path: string): PlainSchema {
  const reader = new Reader(schema, path)
  const minimum = reader.number('minimum', -Infinity)
  const maximum = reader.number('maximum', Infinity)
  const above = reader.number('exclusiveMinimum', -Infinity)
  const below = reader.number('exclusiveMaximum', Infinity)
  return {
    types: reader.types(),
    values: reader.values(),
    properties: new Map(Object.entries(reader.object('properties'))),
    listsProperties: schema['properties'] !== undefined,
    patternProperties: new Map(Object.entries(reader.object('patternProperties'))),
    required: new Set(reader.strings('required')),
    additional: schema['additionalProperties'],
    prefixItems: reader.list('prefixItems'),
    items: reader.items(),
    minItems: reader.count('minItems', 0),
    maxItems: reader.count('maxItems', Infinity),
    areItemsUnique: reader.flag('uniqueItems'),
    minLength: reader.count('minLength', 0),
    maxLength: reader.count('maxLength', Infinity),
    patterns: reader.text('pattern'),
    formats: reader.text('format'),
    minimum: Math.max(minimum, above),
    maximum: Math.min(maximum, below),
    excludesMinimum: above >= minimum && above !== -Infinity,
    excludesMaximum: below <= maximum && below !== Infinity,
    divisors: reader.divisors(),
  }
}

/** What holds when both hold. */
export function conjunction(a: PlainSchema, b: PlainSchema): PlainSchema {
  const minimum = Math.max(a.minimum, b.minimum)
  const maximum = Math.min(a.maximum, b.maximum)
  return {
    types: commonTypes(a.types, b.types),
    values: commonValues(a.values, b.values),
    ...commonProperties(a, b),
    listsProperties: a.listsProperties || b.listsProperties,
    patternProperties: new Map([...a.patternProperties, ...b.patternProperties]),
    required: new Set([...a.required, ...b.required]),
    ...commonItems(a, b),
    minItems: Math.max(a.minItems, b.minItems),
    maxItems: Math.min(a.maxItems, b.maxItems),
    areItemsUnique: a.areItemsUnique || b.areItemsUnique,
    minLength: Math.max(a.minLength, b.minLength),
    maxLength: Math.min(a.maxLength, b.maxLength),
    patterns: [...new Set([...a.patterns, ...b.patterns])],
    formats: [...new Set([...a.formats, ...b.formats])],
    minimum,
    maximum,
    excludesMinimum: [a, b].some((one) => one.minimum === minimum && one.excludesMinimum),
    excludesMaximum: [a, b].some((one) => one.maximum === maximum && one.excludesMaximum),
    divisors: [...new Set([...a.divisors, ...b.divisors])],
  }
}

/** A schema for a value that must keep to both; undefined asks for nothing. */
export function both(a: SubSchema | undefined, b: SubSchema | undefined): SubSchema | undefined {
  if (a === undefined || a === true) return b ?? a
  if (b === undefined || b === true || sameJson(a, b)) return a
  if (a === false || b === false) return false
  return { allOf: [a, b] }
}

function commonTypes(a: PlainSchema['types'], b: PlainSchema['types']): PlainSchema['types'] {
  if (a === undefined || b === undefined) return a ?? b
  const common = [...a].filter((type) => b.has(type) || (type === 'integer' && b.has('number')))
  return new Set([...common, ...(a.has('number') && b.has('integer') ? (['integer'] as const) : [])])
}

function commonValues(a: PlainSchema['values'], b: PlainSchema['values']): PlainSchema['values'] {
  if (a === undefined || b === undefined) return a ?? b
  return a.filter((value) => b.some((other) => sameJson(value, other)))
}

function commonProperties(a: PlainSchema, b: PlainSchema): Pick<PlainSchema, 'properties' | 'additional'> {
  const properties = new Map<string, SubSchema>()
  for (const key of new Set([...a.properties.keys(), ...b.properties.keys()])) {
    const inA = a.properties.has(key) ? a.properties.get(key) : a.additional
    const inB = b.properties.has(key) ? b.properties.get(key) : b.additional
    properties.set(key, both(inA, inB) ?? true)
  }
  return { properties, additional: both(a.additional, b.additional) }
}

function commonItems(a: PlainSchema, b: PlainSchema): Pick<PlainSchema, 'prefixItems' | 'items'> {
  const length = Math.max(a.prefixItems.length, b.prefixItems.length)
  const at = (schema: PlainSchema, index: number) =>
    index < schema.prefixItems.length ? schema.prefixItems[index] : schema.items
  const prefixItems = Array.from({ length }, (_, index) => both(at(a, index), at(b, index)) ?? true)
  return { prefixItems, items: both(a.items, b.items) }
}

class Reader {
  readonly #schema: JsonObject
  readonly #path: string

  constructor(schema: JsonObject, path: string) {
    this.#schema = schema
    this.#path = path
  }

  types(): PlainSchema['types'] {
    const { type } = this.#schema
    const isWhole = wantsIntegers(this.#schema)
    if (type === undefined) return isWhole ? new Set(['integer']) : undefined
    const names: readonly unknown[] = Array.isArray(type) ? type : [type]
    const known = names.map((name) => typeNames.find((one) => one === name))
    const wrong = known.indexOf(undefined)
    if (wrong >= 0 || names.length === 0) {
      throw keywordError('type', this.#path, `names no type: ${JSON.stringify(names[wrong])}`)
    }
    return new Set(known.map((name) => (isWhole && name === 'number' ? 'integer' : name!)))
  }

  values(): PlainSchema['values'] {
    const constant = Object.hasOwn(this.#schema, 'const') ? [this.#schema['const']] : undefined
    const { enum: listed } = this.#schema
    if (listed !== undefined && !Array.isArray(listed)) throw this.#wrong('enum', 'a list')
    return commonValues(constant, listed as readonly unknown[] | undefined)
  }

  items(): SubSchema | undefined {
    const { items } = this.#schema
    if (Array.isArray(items)) throw keywordError('items', this.#path, "must be a schema; see 'prefixItems'")
    return items
  }

  number(keyword: string, otherwise: number): number {
    const value = this.#schema[keyword]
    if (value === undefined) return otherwise
    if (typeof value !== 'number' || !Number.isFinite(value)) throw this.#wrong(keyword, 'a number')
    return value
  }

  count(keyword: string, otherwise: number): number {
    const value = this.number(keyword, otherwise)
    if (value < 0 || (value !== Infinity && !Number.isInteger(value)))
      throw this.#wrong(keyword, 'a whole number')
    return value
  }

  /** Without 1, which makes integers of numbers (see `types`). */
  divisors(): readonly number[] {
    const divisor = this.number('multipleOf', 1)
    if (divisor <= 0) throw this.#wrong('multipleOf', 'above 0')
    return divisor === 1 ? [] : [divisor]
  }

  flag(keyword: string): boolean {
    const value = this.#schema[keyword] ?? false
    if (typeof value !== 'boolean') throw this.#wrong(keyword, 'true or false')
    return value
  }

  text(keyword: string): readonly string[] {
    const value = this.#schema[keyword]
    if (value === undefined) return []
    if (typeof value !== 'string') throw this.#wrong(keyword, 'a text')
    return [value]
  }

  list(keyword: string): readonly unknown[] {
    const value = this.#schema[keyword] ?? []
    if (!Array.isArray(value)) throw this.#wrong(keyword, 'a list')
    return value
  }

  strings(keyword: string): readonly string[] {
    const list = this.list(keyword)
    if (!list.every((element) => typeof element === 'string')) throw this.#wrong(keyword, 'a list of texts')
    return list
  }

  object(keyword: string): JsonObject {
    const value = this.#schema[keyword] ?? {}
    if (!isObject(value)) throw this.#wrong(keyword, 'an object')
    return value
  }

  #wrong(keyword: string, wanted: string) {
    return keywordError(keyword, this.#path, `must be ${wanted}`)
  }
}

/** Values that a list allows and the types too. */
export function valuesOfTypes({ values = [], types }: PlainSchema): readonly unknown[] {
  return values.filter((value) => types === undefined || typesOf(value).some((type) => types.has(type)))
}
