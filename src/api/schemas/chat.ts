import { z } from 'zod'
import { cacheFields } from './cache.ts'
import { listOf, optional, samplingFields } from './sampling.ts'
import { structureFields } from './structure.ts'
import { termFields } from './terms.ts'

/** Templates ask whether a field is there (`'tool_calls' in message`): one that is not set must not be. */
const withoutUnset = <T extends object>(value: T): T =>
  Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as T

const textPart = z.object({ type: z.literal('text'), text: z.string() })

const toolCall = z
  .object({
    id: optional(z.string()),
    type: optional(z.literal('function')),
    function: z.object({ name: z.string(), arguments: z.string() }),
  })
  .transform(withoutUnset)

/** Fields not named here reach the template, which may know them (`reasoning_content`). */
const message = z
  .looseObject({
    role: z.enum(['system', 'developer', 'user', 'assistant', 'tool']),
    content: z.union([z.string(), listOf(textPart)], 'expected a string or a list of text parts').nullish(),
    name: optional(z.string()),
    tool_calls: optional(listOf(toolCall)),
    tool_call_id: optional(z.string()),
  })
  .superRefine(({ role, content, tool_calls: calls = [] }, context) => {
    if (typeof content === 'string' || Array.isArray(content)) return
    if (role === 'assistant' && calls.length > 0) return
    context.addIssue({ code: 'custom', path: ['content'], message: 'needed unless there are tool calls' })
  })
  .transform((value) => withReasoningContent(withoutUnset(value)))

/** vLLM and OpenRouter also say `reasoning`; templates know `reasoning_content`. */
function withReasoningContent<T extends { readonly [field: string]: unknown }>(value: T): T {
  const { reasoning, reasoning_content: known } = value
  return typeof reasoning === 'string' && known === undefined
    ? { ...value, reasoning_content: reasoning }
    : value
}

const tool = z.object({
  type: z.literal('function'),
  function: z
    .looseObject({
      name: z.string().min(1).max(256),
      description: optional(z.string()),
      parameters: optional(z.record(z.string(), z.unknown())),
    })
    .transform(withoutUnset),
})

export const chatRequest = z.object({
  ...samplingFields,
  ...cacheFields,
  ...termFields,
  ...structureFields,
  messages: listOf(message, { min: 1 }),
  max_completion_tokens: optional(z.number().int().min(1)),
  logprobs: optional(z.boolean()),
  top_logprobs: optional(z.number().int().min(0).max(20)),
  tools: optional(listOf(tool)),
  tool_choice: optional(
    z.union(
      [
        z.enum(['none', 'auto', 'required']),
        z.object({ type: z.literal('function'), function: z.object({ name: z.string() }) }),
      ],
      "expected 'none', 'auto', 'required' or a function's name as {type, function: {name}}",
    ),
  ),
  parallel_tool_calls: optional(z.boolean()),
  reasoning_effort: optional(z.string().max(64)),
  /** vLLM's: false leaves the reasoning out of the answer. */
  include_reasoning: optional(z.boolean()),
  chat_template_kwargs: optional(z.record(z.string(), z.unknown())),
})

export type ChatRequest = z.infer<typeof chatRequest>
