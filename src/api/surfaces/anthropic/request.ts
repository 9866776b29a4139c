/** From Anthropic's bodies to the chat request that all surfaces share. */
import { ServingError } from '../../../core/errors.ts'
import type { ChatRequest } from '../../schemas/chat.ts'
import type {
  AnthropicBlock,
  AnthropicMessage,
  CountTokensBody,
  MessagesBody,
  TextOrBlocks,
} from './schema.ts'
import type { TranslatedCall, TranslatedMessage } from '../translated-message.ts'
import { systemText } from './system-text.ts'

export function chatRequestOf(body: MessagesBody): ChatRequest {
  const { max_tokens: maxTokens, stop_sequences: stop, stream, temperature, top_p: topP, top_k: topK } = body
  const user = body.metadata?.user_id
  const tier = body.service_tier
  const format = body.output_config?.format ?? body.output_format
  return {
    ...promptRequestOf(body),
    ...cacheWish(body),
    max_tokens: maxTokens,
    stop,
    stream,
    temperature,
    top_p: topP,
    top_k: topK,
    ...(user !== undefined && { user }),
    // Their words for the only classes that they have.
    ...(tier !== undefined && tier !== 'standard_only' && { service_tier: tier }),
    ...(format !== undefined && {
      response_format: {
        type: 'json_schema',
        json_schema: { name: 'output', schema: format.schema, strict: true },
      },
    }),
  } as ChatRequest
}

/** The part that the prompt is made of. */
export function promptRequestOf(body: CountTokensBody): ChatRequest {
  const system = systemText(body.system)
  const names = toolNames(body.messages)
  const messages = body.messages.flatMap((message) => messagesOf(message, names))
  const thinking = body.thinking?.type
  return {
    model: body.model,
    messages: system === undefined ? messages : [{ role: 'system', content: system }, ...messages],
    ...(body.tools !== undefined && { tools: body.tools.map(toolOf) }),
    ...choiceOf(body),
    ...(thinking !== undefined && { chat_template_kwargs: { enable_thinking: thinking !== 'disabled' } }),
  } as ChatRequest
}

function toolOf({
  name,
  description,
  input_schema: parameters,
}: NonNullable<CountTokensBody['tools']>[number]) {
  return {
    type: 'function' as const,
    function: { name, ...(description !== undefined && { description }), parameters },
  }
}

function choiceOf({ tool_choice: choice }: CountTokensBody): Partial<ChatRequest> {
  if (choice === undefined) return {}
  const parallel = choice.disable_parallel_tool_use === true ? { parallel_tool_calls: false } : {}
  if (choice.type === 'any') return { tool_choice: 'required', ...parallel }
  if (choice.type !== 'tool') return { tool_choice: choice.type, ...parallel }
  if (choice.name === undefined) {
    throw new ServingError('INVALID_REQUEST', 'needed to choose a tool', { param: 'tool_choice.name' })
  }
  return { tool_choice: { type: 'function', function: { name: choice.name } }, ...parallel }
}

/** Results carry the id of a call; templates want its name too. */
function toolNames(messages: readonly AnthropicMessage[]): ReadonlyMap<string, string> {
  const names = new Map<string, string>()
  for (const { content } of messages) {
    if (typeof content === 'string') continue
    for (const block of content) if (block.type === 'tool_use') names.set(block.id, block.name)
  }
  return names
}

function messagesOf(
  { role, content }: AnthropicMessage,
  names: ReadonlyMap<string, string>,
): TranslatedMessage[] {
  if (role === 'assistant') return [assistantMessage(content)]
  if (typeof content === 'string') return [{ role, content }]
  const messages: TranslatedMessage[] = []
  let texts: string[] = []
  const endText = () => {
    if (texts.length > 0) messages.push({ role, content: texts.join('\n') })
    texts = []
  }
  for (const block of content) {
    if (block.type === 'text') texts.push(block.text)
    else if (block.type === 'tool_result') {
      endText()
      messages.push(resultMessage(block, names))
    }
  }
  endText()
  return messages.length > 0 ? messages : [{ role, content: '' }]
}

type ToolResult = Extract<AnthropicBlock, { type: 'tool_result' }>

function resultMessage(block: ToolResult, names: ReadonlyMap<string, string>): TranslatedMessage {
  const name = names.get(block.tool_use_id)
  const text = plainText(block.content)
  return {
    role: 'tool',
    tool_call_id: block.tool_use_id,
    ...(name !== undefined && { name }),
    content: block.is_error === true ? `Error: ${text}` : text,
  }
}

function plainText(content: TextOrBlocks | undefined): string {
  return typeof content === 'string' ? content : (content ?? []).map(({ text }) => text).join('\n')
}

function assistantMessage(content: AnthropicMessage['content']): TranslatedMessage {
  if (typeof content === 'string') return { role: 'assistant', content }
  const texts: string[] = []
  const thoughts: string[] = []
  const calls: TranslatedCall[] = []
  for (const block of content) {
    if (block.type === 'text') texts.push(block.text)
    else if (block.type === 'thinking') thoughts.push(block.thinking)
    else if (block.type === 'tool_use') {
      const { id, name, input } = block
      calls.push({ id, type: 'function', function: { name, arguments: JSON.stringify(input) } })
    }
  }
  return {
    role: 'assistant',
    content: texts.join('\n'),
    ...(thoughts.length > 0 && { reasoning_content: thoughts.join('\n') }),
    ...(calls.length > 0 && { tool_calls: calls }),
  }
}

/** Whoever marks a part of the prompt means to come back with it; who asks for an hour, late. */
function cacheWish({ system, tools, messages }: MessagesBody): Partial<ChatRequest> {
  const marks = [
    ...blocksIn(system),
    ...(tools ?? []),
    ...messages.flatMap(({ content }) => blocksIn(content)),
  ].flatMap((block) =>
    'cache_control' in block && block.cache_control !== undefined ? [block.cache_control] : [],
  )
  if (marks.length === 0) return {}
  if (marks.some(({ ttl }) => ttl === '1h')) return { prompt_cache_retention: '24h' }
  return { prompt_cache_key: 'cache_control' }
}

function blocksIn(
  content: AnthropicMessage['content'] | TextOrBlocks | undefined,
): readonly AnthropicBlock[] {
  return typeof content === 'string' ? [] : ((content ?? []) as readonly AnthropicBlock[])
}
