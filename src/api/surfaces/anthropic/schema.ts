/** Bodies of Anthropic's Messages API. Unknown fields are ignored. */
import { z } from 'zod'
import { listOf, optional } from '../../schemas/sampling.ts'

/** Says that what stands before it will come again. */
const cacheControl = optional(
  z.looseObject({ type: z.literal('ephemeral'), ttl: optional(z.enum(['5m', '1h'])) }),
)

const textBlock = z.object({ type: z.literal('text'), text: z.string(), cache_control: cacheControl })

const textOrBlocks = z.union([z.string(), listOf(textBlock)], 'expected a string or a list of text blocks')

const userBlock = z.discriminatedUnion(
  'type',
  [
    textBlock,
    z.object({
      type: z.literal('tool_result'),
      tool_use_id: z.string(),
      content: optional(textOrBlocks),
      is_error: optional(z.boolean()),
      cache_control: cacheControl,
    }),
  ],
  'expected a block of type text or tool_result: this server reads text only',
)

const assistantBlock = z.discriminatedUnion(
  'type',
  [
    textBlock,
    z.object({
      type: z.literal('tool_use'),
      id: z.string(),
      name: z.string(),
      input: z.record(z.string(), z.unknown()),
      cache_control: cacheControl,
    }),
    z.object({ type: z.literal('thinking'), thinking: z.string() }),
    z.object({ type: z.literal('redacted_thinking') }),
  ],
  'expected a block of type text, tool_use or thinking',
)

const blocksOr = <T extends z.ZodType>(block: T) =>
  z.union([z.string(), listOf(block)], 'expected a string or a list of blocks')

const message = z.discriminatedUnion('role', [
  z.object({ role: z.literal('user'), content: blocksOr(userBlock) }),
  z.object({ role: z.literal('assistant'), content: blocksOr(assistantBlock) }),
  z.object({ role: z.literal('system'), content: textOrBlocks }),
])

const tool = z.object({
  type: optional(z.literal('custom', 'tools that run on the server are not supported')),
  name: z.string().min(1).max(128),
  description: optional(z.string()),
  input_schema: z.record(z.string(), z.unknown()),
  cache_control: cacheControl,
})

const toolChoice = z.object({
  type: z.enum(['auto', 'any', 'tool', 'none']),
  name: optional(z.string()),
  disable_parallel_tool_use: optional(z.boolean()),
})

const outputFormat = z.object({
  type: z.literal('json_schema'),
  schema: z.record(z.string(), z.unknown()),
})

/** What a prompt is made of: all that counting tokens needs. */
const promptFields = {
  model: z.string().min(1),
  messages: listOf(message, { min: 1 }),
  system: optional(textOrBlocks),
  tools: optional(listOf(tool)),
  tool_choice: optional(toolChoice),
  thinking: optional(z.looseObject({ type: z.enum(['enabled', 'disabled', 'adaptive']) })),
}

export const countTokensBody = z.object(promptFields)

export const messagesBody = z.object({
  ...promptFields,
  max_tokens: z.number().int().min(1),
  stop_sequences: optional(listOf(z.string(), { max: 16 })),
  stream: optional(z.boolean()),
  temperature: optional(z.number().min(0).max(1)),
  top_p: optional(z.number().gt(0).max(1)),
  top_k: optional(z.number().int().min(0)),
  metadata: optional(z.looseObject({ user_id: optional(z.string().max(512)) })),
  service_tier: optional(z.string()),
  output_config: optional(z.looseObject({ format: optional(outputFormat) })),
  output_format: optional(outputFormat),
})

export type CountTokensBody = z.infer<typeof countTokensBody>
export type MessagesBody = z.infer<typeof messagesBody>
export type AnthropicMessage = CountTokensBody['messages'][number]
export type AnthropicBlock = Exclude<AnthropicMessage['content'], string>[number]
export type TextOrBlocks = z.infer<typeof textOrBlocks>
