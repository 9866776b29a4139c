import { z } from 'zod'
import { ServingError } from '../../core/errors.ts'
import type { GrammarSpec } from '../../core/grammar-spec.ts'
import { listOf, optional } from './sampling.ts'

const anySchema = z.union([z.record(z.string(), z.unknown()), z.boolean()])
const schemaOrText = z.union([anySchema, z.string()], 'expected a JSON schema')
const options = listOf(z.string(), { min: 1, max: 10_000 })

const responseFormat = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text') }),
  /** llama-server's has a schema here, too. */
  z.object({ type: z.literal('json_object'), schema: optional(anySchema) }),
  z.object({
    type: z.literal('json_schema'),
    json_schema: z.object({
      name: optional(z.string()),
      description: optional(z.string()),
      strict: optional(z.boolean()),
      schema: optional(anySchema),
    }),
  }),
])

const structuredOutputs = z.object({
  json: optional(schemaOrText),
  json_object: optional(z.boolean()),
  regex: optional(z.string()),
  choice: optional(options),
  grammar: optional(z.string()),
})

/** The fields that say what an answer's text must look like: OpenAI's, vLLM's new and old ones, llama-server's. */
export const structureFields = {
  response_format: optional(responseFormat),
  structured_outputs: optional(structuredOutputs),
  guided_json: optional(schemaOrText),
  guided_regex: optional(z.string()),
  guided_choice: optional(options),
  guided_grammar: optional(z.string()),
  grammar: optional(z.string()),
  json_schema: optional(schemaOrText),
} as const

const structureSchema = z.object(structureFields)
export type StructureFields = Partial<z.infer<typeof structureSchema>>

/** What of a request asks for a form of its answer. */
export interface AskedStructure {
  readonly spec: GrammarSpec
  /** The field that asks. */
  readonly param: string
}

/** @throws {ServingError} INVALID_REQUEST when fields contradict one another, or a schema in a text is no JSON. */
export function structureOf(fields: StructureFields): AskedStructure | undefined {
  const asked = [
    ...ofResponseFormat(fields.response_format),
    ...ofStructuredOutputs(fields.structured_outputs ?? {}),
    ...ofSchema('guided_json', fields.guided_json),
    ...of('guided_regex', fields.guided_regex, (pattern) => ({ kind: 'regex', pattern })),
    ...of('guided_choice', fields.guided_choice, (listed) => ({ kind: 'choice', options: listed })),
    ...of('guided_grammar', fields.guided_grammar, (source) => ({ kind: 'gbnf', source })),
    ...of('grammar', fields.grammar, (source) => (source === '' ? undefined : { kind: 'gbnf', source })),
    ...ofSchema('json_schema', fields.json_schema),
  ]
  const [first, second] = asked
  if (first === undefined || second === undefined) return first
  const message = `'${first.param}' and '${second.param}' exclude each other.`
  throw new ServingError('INVALID_REQUEST', message, { param: second.param })
}

function ofResponseFormat(format: StructureFields['response_format']): AskedStructure[] {
  if (format === undefined || format.type === 'text') return []
  if (format.type === 'json_object') {
    const spec: GrammarSpec =
      format.schema === undefined ? { kind: 'jsonObject' } : { kind: 'jsonSchema', schema: format.schema }
    return [{ param: 'response_format', spec }]
  }
  const { schema } = format.json_schema
  if (schema === undefined) return [{ param: 'response_format', spec: { kind: 'jsonObject' } }]
  return [{ param: 'response_format.json_schema.schema', spec: { kind: 'jsonSchema', schema } }]
}

function ofStructuredOutputs(
  fields: z.infer<typeof structuredOutputs> | Record<string, never>,
): AskedStructure[] {
  const name = (field: string): string => `structured_outputs.${field}`
  return [
    ...ofSchema(name('json'), fields.json),
    ...of(name('json_object'), fields.json_object, (wanted) => (wanted ? { kind: 'jsonObject' } : undefined)),
    ...of(name('regex'), fields.regex, (pattern) => ({ kind: 'regex', pattern })),
    ...of(name('choice'), fields.choice, (listed) => ({ kind: 'choice', options: listed })),
    ...of(name('grammar'), fields.grammar, (source) => ({ kind: 'gbnf', source })),
  ]
}

function ofSchema(param: string, given: z.infer<typeof schemaOrText> | undefined): AskedStructure[] {
  return of(param, given, (value) => ({
    kind: 'jsonSchema',
    schema: typeof value === 'string' ? parsed(param, value) : value,
  }))
}

function parsed(param: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new ServingError('INVALID_REQUEST', `'${param}' is not JSON.`, { param, cause })
  }
}

function of<T>(
  param: string,
  value: T | undefined,
  specOf: (value: T) => GrammarSpec | undefined,
): AskedStructure[] {
  const spec = value === undefined ? undefined : specOf(value)
  return spec === undefined ? [] : [{ param, spec }]
}
