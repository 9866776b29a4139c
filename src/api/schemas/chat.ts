import { z } from 'zod'
import { optional, samplingFields } from './sampling.ts'

const textPart = z.object({ type: z.literal('text'), text: z.string() })

const toolCall = z.object({
  id: z.string().optional(),
  type: z.literal('function').optional(),
  function: z.object({ name: z.string(), arguments: z.string() }),
})

const message = z.object({
  role: z.enum(['system', 'developer', 'user', 'assistant', 'tool']),
  content: z.union([z.string(), z.array(textPart)]).nullish(),
  name: z.string().optional(),
  tool_calls: optional(z.array(toolCall)),
  tool_call_id: z.string().optional(),
})

const tool = z.object({
  type: z.literal('function'),
  function: z.object({
    name: z.string(),
    description: z.string().optional(),
    parameters: z.record(z.string(), z.unknown()).optional(),
  }),
})

export const chatRequest = z.object({
  ...samplingFields,
  messages: z.array(message).min(1),
  max_completion_tokens: optional(z.number().int().min(1)),
  logprobs: optional(z.boolean()),
  top_logprobs: optional(z.number().int().min(0).max(20)),
  tools: optional(z.array(tool)),
  tool_choice: optional(z.union([z.enum(['none', 'auto', 'required']), z.record(z.string(), z.unknown())])),
  chat_template_kwargs: optional(z.record(z.string(), z.unknown())),
})

export type ChatRequest = z.infer<typeof chatRequest>
