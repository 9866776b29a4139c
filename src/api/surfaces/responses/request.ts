/** From the items of a conversation to the chat request that all surfaces share. */
import type { ChatRequest } from '../../schemas/chat.ts'
import type { TranslatedMessage } from '../translated-message.ts'
import type { OutputItem, StoredItem } from './items.ts'
import type { InputItem, InputTokensBody, ResponsesBody } from './schema.ts'

/** What was said before, oldest first. */
export type History = readonly (StoredItem | OutputItem)[]

export function chatRequestOf(body: ResponsesBody, history: History): ChatRequest {
  const {
    model: _model,
    input: _input,
    instructions: _instructions,
    previous_response_id: _previous,
    tools: _tools,
    tool_choice: _choice,
    reasoning: _reasoning,
    conversation: _conversation,
    prompt: _prompt,
    background: _background,
    store: _store,
    truncation: _truncation,
    max_output_tokens: maxTokens,
    text,
    ...same
  } = body
  const format = text?.format
  return {
    ...promptRequestOf(body, history),
    ...same,
    max_completion_tokens: maxTokens,
    ...(format !== undefined && format.type !== 'text' && { response_format: formatOf(format) }),
  } as ChatRequest
}

type Format = NonNullable<NonNullable<ResponsesBody['text']>['format']>

function formatOf(format: Format): Record<string, unknown> {
  if (format.type !== 'json_schema') return { type: format.type }
  const { name = 'output', schema, strict } = format
  return { type: 'json_schema', json_schema: { name, schema, ...(strict !== undefined && { strict }) } }
}

/** The part that the prompt is made of. Instructions hold for one response; they are no part of the history. */
export function promptRequestOf(body: InputTokensBody, history: History): ChatRequest {
  const { instructions, tools, tool_choice: choice, reasoning } = body
  const messages = messagesOf(history)
  const effort = reasoning?.effort
  return {
    model: body.model,
    messages:
      instructions === undefined ? messages : [{ role: 'system', content: instructions }, ...messages],
    ...(tools !== undefined && { tools: tools.map(toolOf) }),
    ...(choice !== undefined && {
      tool_choice:
        typeof choice === 'string' ? choice : { type: 'function', function: { name: choice.name } },
    }),
    ...(effort !== undefined && { reasoning_effort: effort }),
  } as ChatRequest
}

function toolOf({ name, description, parameters, strict }: NonNullable<InputTokensBody['tools']>[number]) {
  return {
    type: 'function',
    function: {
      name,
      ...(description !== undefined && { description }),
      ...(parameters !== undefined && { parameters }),
      ...(strict !== undefined && { strict }),
    },
  }
}

/** Reasoning, text and calls of one answer are one assistant's message. */
function messagesOf(items: History): TranslatedMessage[] {
  const names = new Map<string, string>()
  const messages: TranslatedMessage[] = []
  const answer = (): TranslatedMessage => {
    const last = messages.at(-1)
    if (last?.role === 'assistant') return last
    const message: TranslatedMessage = { role: 'assistant', content: '' }
    messages.push(message)
    return message
  }
  for (const item of items) {
    if (item.type === 'reasoning') {
      const message = answer()
      message.reasoning_content = (message.reasoning_content ?? '') + thoughtsOf(item)
    } else if (item.type === 'function_call') {
      names.set(item.call_id, item.name)
      const call = {
        id: item.call_id,
        type: 'function' as const,
        function: { name: item.name, arguments: item.arguments },
      }
      const message = answer()
      message.tool_calls = [...(message.tool_calls ?? []), call]
    } else if (item.type === 'function_call_output') {
      const name = names.get(item.call_id)
      messages.push({
        role: 'tool',
        tool_call_id: item.call_id,
        ...(name !== undefined && { name }),
        content: plainText(item.output),
      })
    } else if (item.role === 'assistant' && messages.at(-1)?.role === 'assistant') {
      answer().content += plainText(item.content)
    } else {
      messages.push({
        role: item.role === 'developer' ? 'system' : item.role,
        content: plainText(item.content),
      })
    }
  }
  return messages
}

function thoughtsOf({ content, summary }: Extract<InputItem | OutputItem, { type: 'reasoning' }>): string {
  const parts: readonly { readonly text: string }[] =
    content !== undefined && content.length > 0 ? content : (summary ?? [])
  return parts.map(({ text }) => text).join('\n')
}

function plainText(content: string | readonly { readonly text: string }[]): string {
  return typeof content === 'string' ? content : content.map(({ text }) => text).join('\n')
}
