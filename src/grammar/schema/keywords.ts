/** What is known of a schema's keywords. */
import { grammarError } from '../grammar-error.ts'

export type JsonObject = Readonly<Record<string, unknown>>

export const typeNames = ['null', 'boolean', 'object', 'array', 'number', 'integer', 'string'] as const
export type TypeName = (typeof typeNames)[number]

/** Keywords that say something about values, and are kept to. */
export const assertions = new Set([
  ...['type', 'enum', 'const', 'allOf', 'anyOf', 'oneOf', '$ref'],
  ...['properties', 'required', 'additionalProperties', 'items', 'prefixItems', 'minItems', 'maxItems'],
  ...['minLength', 'maxLength', 'pattern', 'format'],
  ...['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'],
  ...['patternProperties', 'uniqueItems'],
])

/** Keywords that say something about values which a grammar of this kind cannot promise. */
const refused = new Set([
  ...['not', 'if', 'then', 'else', 'dependentRequired', 'dependentSchemas', 'dependencies'],
  ...['propertyNames', 'minProperties', 'maxProperties', 'unevaluatedProperties'],
  ...['contains', 'minContains', 'maxContains', 'unevaluatedItems', 'additionalItems'],
  ...['$dynamicRef', '$recursiveRef'],
])

/** With these values they ask for nothing. */
const isIdle: Readonly<Record<string, (value: unknown) => boolean>> = {
  uniqueItems: (value) => value === false,
  minProperties: (value) => value === 0,
  unevaluatedProperties: (value) => value === true,
  unevaluatedItems: (value) => value === true,
  additionalItems: (value) => value === true,
  patternProperties: (value) => isObject(value) && Object.keys(value).length === 0,
  multipleOf: (value) => typeof value === 'number' && value === 1,
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The error for a keyword that cannot be kept to. */
export function keywordError(keyword: string, path: string, why = 'is not supported') {
  return grammarError(`the keyword '${keyword}' at ${path === '' ? 'the root' : path} ${why}`)
}

/** @throws {ServingError} INVALID_REQUEST naming a keyword that cannot be kept to. */
export function checkKeywords(schema: JsonObject, path: string): void {
  for (const [keyword, value] of Object.entries(schema)) {
    if (refused.has(keyword) && !asksForNothing(keyword, value)) throw keywordError(keyword, path)
  }
}

/** A keyword with a value that leaves everything open. */
export function asksForNothing(keyword: string, value: unknown): boolean {
  return isIdle[keyword]?.(value) === true
}

/** `multipleOf: 1` makes integers of numbers. */
export function wantsIntegers({ multipleOf }: JsonObject): boolean {
  return multipleOf === 1
}

/** Equality of JSON values. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((element, index) => sameJson(element, b[index]))
  }
  if (!isObject(a) || !isObject(b)) return a === b
  const keys = Object.keys(a)
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && sameJson(a[key], b[key]))
  )
}

/** The types of a value: a whole number has two. */
export function typesOf(value: unknown): readonly TypeName[] {
  if (value === null) return ['null']
  if (Array.isArray(value)) return ['array']
  if (typeof value === 'number') return Number.isInteger(value) ? ['integer', 'number'] : ['number']
  if (typeof value === 'boolean' || typeof value === 'string') return [typeof value as TypeName]
  return ['object']
}
