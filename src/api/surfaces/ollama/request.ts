/** From Ollama's bodies to the chat request that all surfaces share. */
import { ServingError } from '../../../core/errors.ts'
import type { ChatRequest } from '../../schemas/chat.ts'
import type { TranslatedMessage } from '../translated-message.ts'
import type { OllamaChat, OllamaGenerate, OllamaOptions } from './schema.ts'

/** Ollama's defaults of sampling, but no repetition penalty: it spoils code, copies and tool calls. */
const defaults = { temperature: 0.8, top_k: 40, top_p: 0.9 }

export function chatRequestOf(body: OllamaChat): ChatRequest {
  return {
    ...sharedFields(body),
    messages: (body.messages ?? []).map(messageOf),
    ...(body.tools !== undefined && {
      tools: body.tools.map((tool) => ({ ...tool, type: 'function' as const })),
    }),
  } as ChatRequest
}

/** A prompt is a user's message, unless it is raw. */
export function generateRequestOf(body: OllamaGenerate): ChatRequest {
  if ((body.context?.length ?? 0) > 0) {
    const message = "'context' is not supported: send the conversation to /api/chat."
    throw new ServingError('INVALID_REQUEST', message, { param: 'context' })
  }
  const system = body.system === undefined ? [] : [{ role: 'system', content: body.system }]
  return {
    ...sharedFields(body),
    messages: [...system, { role: 'user', content: body.prompt ?? '' }],
  } as ChatRequest
}

function sharedFields(body: OllamaChat | OllamaGenerate): Partial<ChatRequest> {
  return {
    model: body.model.replace(/:latest$/, ''),
    stream: body.stream ?? true,
    ...samplingOf(body.options),
    ...(body.logprobs !== undefined && { logprobs: body.logprobs }),
    ...(body.top_logprobs !== undefined && { top_logprobs: body.top_logprobs }),
    ...(body.format !== undefined && body.format !== '' && { response_format: formatOf(body.format) }),
    ...(body.think !== undefined && { chat_template_kwargs: thinkingOf(body.think) }),
  }
}

function formatOf(format: 'json' | Record<string, unknown>): ChatRequest['response_format'] {
  return format === 'json'
    ? { type: 'json_object', schema: undefined }
    : {
        type: 'json_schema',
        json_schema: { name: 'output', schema: format, strict: true, description: undefined },
      }
}

function samplingOf(options: Partial<OllamaOptions> = {}): Partial<ChatRequest> {
  const { seed, num_predict: numPredict, repeat_penalty: repeatPenalty, top_p: topP, ...rest } = options
  const isSet = Object.entries(rest).filter(([, value]) => value !== undefined)
  return {
    ...defaults,
    ...Object.fromEntries(isSet),
    // Ollama's 0 leaves the best token alone; ours is a share of the mass, which is above 0.
    top_p: topP === undefined ? defaults.top_p : Math.max(topP, 1e-6),
    ...(seed !== undefined && seed >= 0 && { seed }),
    ...(numPredict !== undefined && numPredict > 0 && { max_tokens: numPredict }),
    ...(repeatPenalty !== undefined && { repetition_penalty: repeatPenalty }),
  }
}

/** The switches that templates know by these names. */
function thinkingOf(think: boolean | string): Record<string, unknown> {
  if (typeof think === 'boolean') return { enable_thinking: think, thinking: think }
  return { enable_thinking: true, thinking: true, reasoning_effort: think }
}

type OllamaMessage = NonNullable<OllamaChat['messages']>[number]

function messageOf(message: OllamaMessage): TranslatedMessage {
  const { role, content, thinking, tool_calls: calls, tool_name: name, tool_call_id: callId } = message
  return {
    role,
    content: content ?? '',
    ...(thinking !== undefined && { reasoning_content: thinking }),
    ...(calls !== undefined && {
      tool_calls: calls.map(({ id, function: { name: callName, arguments: given } }) => ({
        ...(id !== undefined && { id }),
        type: 'function' as const,
        function: { name: callName, arguments: JSON.stringify(given) },
      })),
    }),
    ...(name !== undefined && { name }),
    ...(callId !== undefined && { tool_call_id: callId }),
  }
}
