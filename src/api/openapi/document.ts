/** The OpenAPI description of the server, made of the schemas that its routes read bodies with. */
import { z } from 'zod'
import { listElements } from '../schemas/sampling.ts'
import { anthropicOperations } from './anthropic-operations.ts'
import { fieldNotes } from './field-notes.ts'
import { ollamaOperations } from './ollama-operations.ts'
import { openaiOperations } from './openai-operations.ts'
import type { Operation, Operations } from './operation.ts'
import { serverOperations } from './server-operations.ts'

export const operations: Operations = {
  ...openaiOperations,
  ...anthropicOperations,
  ...ollamaOperations,
  ...serverOperations,
}

type Json = Readonly<Record<string, unknown>>

export interface OpenApiDocument {
  readonly openapi: '3.1.0'
  readonly info: { readonly title: string; readonly version: string; readonly description: string }
  readonly paths: Readonly<Record<string, Readonly<Record<string, OperationJson>>>>
  readonly components: Json
  readonly security: readonly Json[]
}

export interface OperationJson {
  readonly operationId: string
  readonly tags: readonly string[]
  readonly summary: string
  readonly parameters: readonly { readonly name: string; readonly in: string; readonly schema: Json }[]
  readonly requestBody?: {
    readonly required: boolean
    readonly content: Readonly<Record<string, { readonly schema: Json }>>
  }
  readonly responses: Json
  readonly security?: readonly Json[]
}

export function openApiDocument(version: string): OpenApiDocument {
  const paths: Record<string, Record<string, OperationJson>> = {}
  for (const [route, operation] of Object.entries(operations)) {
    const [method, path] = route.split(' ') as [string, string]
    const name = path.replaceAll(/:(\w+)/g, '{$1}').replace('*', '{model}')
    paths[name] = { ...paths[name], [method.toLowerCase()]: operationJson(method, name, operation) }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Switchyard', version, description: 'An LLM server for models that are shared.' },
    paths,
    components: {
      securitySchemes: { key: { type: 'http', scheme: 'bearer' } },
      schemas: { Error: openaiError, OllamaError: ollamaError, AnthropicError: anthropicError },
    },
    security: [{ key: [] }],
  }
}

function operationJson(method: string, path: string, operation: Operation): OperationJson {
  const { tag, summary, body, query, takesFile, answer, streams, isOpen } = operation
  const ok =
    typeof answer === 'string'
      ? { [answer]: {} }
      : { 'application/json': { schema: jsonSchema(answer, 'output') } }
  const content =
    body === undefined ? {} : { 'application/json': { schema: withNotes(jsonSchema(body, 'input')) } }
  const takes = takesFile === true ? { 'multipart/form-data': { schema: fileForm } } : content
  return {
    operationId: `${method.toLowerCase()}${path.replaceAll(/[^\w]+(\w?)/g, (_, letter: string) => letter.toUpperCase())}`,
    tags: [tag],
    summary,
    parameters: [...pathParameters(path), ...queryParameters(query)],
    ...(Object.keys(takes).length > 0 && { requestBody: { required: true, content: takes } }),
    responses: {
      200: {
        description: 'It is done.',
        content: { ...ok, ...(streams !== undefined && { [streams]: {} }) },
      },
      default: {
        description: 'It is not, and why.',
        content: { 'application/json': { schema: errorOf(path) } },
      },
    },
    ...(isOpen === true && { security: [] }),
  }
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, {
    io,
    unrepresentable: 'any',
    override({ zodSchema, jsonSchema: json }) {
      const element = listElements.get(zodSchema)
      if (element !== undefined) json.items = jsonSchema(element, io)
    },
  })
  return rest
}

function withNotes(schema: Json): Json {
  const properties = Object.entries((schema['properties'] ?? {}) as Record<string, Json>)
  const described = properties.map(([name, field]) => {
    const note = fieldNotes[name]
    return [name, note === undefined ? field : { ...field, description: note }] as const
  })
  return { ...schema, properties: Object.fromEntries(described) }
}

const pathParameters = (path: string) =>
  [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name: name!,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }))

function queryParameters(query: z.ZodType | undefined) {
  if (query === undefined) return []
  const properties = (jsonSchema(query, 'input')['properties'] ?? {}) as Record<string, Json>
  return Object.entries(properties).map(([name, schema]) => ({ name, in: 'query', schema }))
}

function errorOf(path: string): Json {
  const name = path.startsWith('/api/')
    ? 'OllamaError'
    : path.startsWith('/v1/messages')
      ? 'AnthropicError'
      : 'Error'
  return { $ref: `#/components/schemas/${name}` }
}

const text = { type: 'string' }
const fileForm = {
  type: 'object',
  properties: {
    file: { type: 'string', format: 'binary' },
    purpose: { ...text, examples: ['batch'] },
    'expires_after[anchor]': { const: 'created_at' },
    'expires_after[seconds]': { type: 'integer', minimum: 3600, maximum: 2_592_000 },
  },
  required: ['file', 'purpose'],
}

const openaiError = {
  type: 'object',
  properties: {
    error: {
      type: 'object',
      properties: { message: text, type: text, param: { type: ['string', 'null'] }, code: text },
      required: ['message', 'type', 'param', 'code'],
    },
  },
  required: ['error'],
}

const ollamaError = { type: 'object', properties: { error: text }, required: ['error'] }

const anthropicError = {
  type: 'object',
  properties: {
    type: { const: 'error' },
    error: { type: 'object', properties: { type: text, message: text }, required: ['type', 'message'] },
  },
  required: ['type', 'error'],
}
