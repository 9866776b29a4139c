import { isObject, sameJson, typesOf, type JsonObject } from './keywords.ts'

/** Whether it is plain to see that no value matches both. */
export function areDisjoint(a: unknown, b: unknown): boolean {
  if (a === false || b === false) return true
  if (!isObject(a) || !isObject(b)) return false
  const [typesOfA, typesOfB] = [typesIn(a), typesIn(b)]
  if (typesOfA !== undefined && typesOfB !== undefined && !typesOfA.some((type) => typesOfB.includes(type)))
    return true
  const [valuesOfA, valuesOfB] = [valuesIn(a), valuesIn(b)]
  if (valuesOfA !== undefined && valuesOfB !== undefined) {
    return !valuesOfA.some((value) => valuesOfB.some((other) => sameJson(value, other)))
  }
  return haveDisjointProperty(a, b) || lacksRequired(a, b) || lacksRequired(b, a)
}

/** Integers are numbers. */
function typesIn(schema: JsonObject): readonly unknown[] | undefined {
  const values = valuesIn(schema)
  if (values !== undefined) return values.flatMap(typesOf)
  const { type } = schema
  if (type === undefined) return undefined
  const types = Array.isArray(type) ? (type as unknown[]) : [type]
  return types.includes('number') ? [...types, 'integer'] : types
}

function valuesIn(schema: JsonObject): readonly unknown[] | undefined {
  if (Object.hasOwn(schema, 'const')) return [schema['const']]
  return Array.isArray(schema['enum']) ? (schema['enum'] as unknown[]) : undefined
}

/** Both must be objects with a property that tells them apart. */
function haveDisjointProperty(a: JsonObject, b: JsonObject): boolean {
  if (a['type'] !== 'object' || b['type'] !== 'object') return false
  const [inA, inB] = [propertiesOf(a), propertiesOf(b)]
  return Object.keys(inA).some(
    (key) =>
      requires(a, key) && requires(b, key) && Object.hasOwn(inB, key) && areDisjoint(inA[key], inB[key]),
  )
}

/** One must have a property that the other must not have. */
function lacksRequired(a: JsonObject, b: JsonObject): boolean {
  if (a['type'] !== 'object' || b['type'] !== 'object' || b['additionalProperties'] !== false) return false
  if (b['patternProperties'] !== undefined) return false
  return Object.keys(propertiesOf(a)).some((key) => requires(a, key) && !Object.hasOwn(propertiesOf(b), key))
}

function propertiesOf({ properties }: JsonObject): JsonObject {
  return isObject(properties) ? properties : {}
}

function requires({ required }: JsonObject, key: string): boolean {
  return Array.isArray(required) && required.includes(key)
}
