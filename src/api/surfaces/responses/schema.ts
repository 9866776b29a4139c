/** Bodies of OpenAI's Responses API. Unknown fields are ignored; what would change the answer and is not done is refused. */
import { z } from 'zod'
import { cacheFields } from '../../schemas/cache.ts'
import { listOf, optional } from '../../schemas/sampling.ts'
import { termFields } from '../../schemas/terms.ts'

const id = optional(z.string().max(128))

const textPart = z.object({ type: z.enum(['input_text', 'output_text', 'text']), text: z.string() })
const refusalPart = z
  .object({ type: z.literal('refusal'), refusal: z.string() })
  .transform(({ refusal }) => ({ type: 'output_text' as const, text: refusal }))

const contentParts = listOf(
  z.discriminatedUnion('type', [textPart, refusalPart], 'expected a text part: this server reads text only'),
)
const content = z.union([z.string(), contentParts], 'expected a string or a list of text parts')

const messageItem = z.object({
  type: z.literal('message'),
  id,
  role: z.enum(['user', 'assistant', 'system', 'developer']),
  content,
})

const callItem = z.object({
  type: z.literal('function_call'),
  id,
  call_id: z.string(),
  name: z.string(),
  arguments: z.string(),
})

const callOutputItem = z.object({
  type: z.literal('function_call_output'),
  id,
  call_id: z.string(),
  output: content,
})

const reasoningItem = z.object({
  type: z.literal('reasoning'),
  id,
  summary: optional(listOf(z.object({ type: z.literal('summary_text'), text: z.string() }))),
  content: optional(listOf(z.object({ type: z.literal('reasoning_text'), text: z.string() }))),
})

/** A message may leave its type out. */
const item = z.preprocess(
  (value) =>
    typeof value === 'object' && value !== null && !('type' in value) && 'role' in value
      ? { ...value, type: 'message' }
      : value,
  z.discriminatedUnion(
    'type',
    [messageItem, callItem, callOutputItem, reasoningItem],
    'expected an item of type message, function_call, function_call_output or reasoning',
  ),
)

const tool = z.object({
  type: z.literal('function', 'tools that run on the server are not supported'),
  name: z.string().min(1).max(128),
  description: optional(z.string()),
  parameters: optional(z.record(z.string(), z.unknown())),
  strict: optional(z.boolean()),
})

const textFormat = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text') }),
  z.object({ type: z.literal('json_object') }),
  z.object({
    type: z.literal('json_schema'),
    name: optional(z.string()),
    description: optional(z.string()),
    schema: z.record(z.string(), z.unknown()),
    strict: optional(z.boolean()),
  }),
])

const none = <T>(what: string) =>
  z
    .unknown()
    .refine((value) => value === undefined || value === null || value === false, `${what} is not supported`)
    .transform((): T | undefined => undefined)

/** What a prompt is made of: all that counting tokens needs. */
const promptFields = {
  model: optional(z.string()),
  input: optional(z.union([z.string(), listOf(item)], 'expected a string or a list of items')),
  instructions: optional(z.string()),
  previous_response_id: optional(z.string().max(128)),
  tools: optional(listOf(tool)),
  tool_choice: optional(
    z.union([
      z.enum(['none', 'auto', 'required']),
      z.object({ type: z.literal('function'), name: z.string() }),
    ]),
  ),
  reasoning: optional(
    z.looseObject({
      effort: optional(z.enum(['none', 'minimal', 'low', 'medium', 'high', 'xhigh'])),
      summary: optional(z.string()),
    }),
  ),
  conversation: none('a stored conversation').optional(),
  prompt: none('a stored prompt').optional(),
}

export const inputTokensBody = z.object(promptFields)

export const responsesBody = z.object({
  ...promptFields,
  ...cacheFields,
  ...termFields,
  store: optional(z.boolean()),
  stream: optional(z.boolean()),
  temperature: optional(z.number().min(0).max(2)),
  top_p: optional(z.number().gt(0).max(1)),
  max_output_tokens: optional(z.number().int().min(1)),
  parallel_tool_calls: optional(z.boolean()),
  text: optional(z.looseObject({ format: optional(textFormat) })),
  truncation: optional(z.enum(['auto', 'disabled'])),
  background: none('working in the background').optional(),
})

export type InputTokensBody = z.infer<typeof inputTokensBody>
export type ResponsesBody = z.infer<typeof responsesBody>
export type InputItem = z.infer<typeof item>
