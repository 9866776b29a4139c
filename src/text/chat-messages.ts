/** Chat messages in OpenAI's shape, and the form in which templates expect them. */
import { ServingError } from '../core/errors.ts'
import type { TemplateHabits } from './template-habits.ts'

export interface ChatMessage {
  readonly role: string
  readonly content?: string | null | readonly ContentPart[]
  readonly name?: string
  readonly tool_calls?: readonly ToolCall[]
  readonly tool_call_id?: string
  /** Whatever else a template may look at (`reasoning_content` and the like). */
  readonly [field: string]: unknown
}

export interface ContentPart {
  readonly type: string
  readonly text?: string
  readonly [field: string]: unknown
}

export interface ToolCall {
  readonly id?: string
  readonly type?: string
  /** `arguments` is JSON text, as a model wrote it, or the parsed object. */
  readonly function: { readonly name: string; readonly arguments: unknown }
}

/**
 * Messages as plain values for a template: text parts joined by line breaks, missing content as empty text, or null
 * where tool calls stand in for it; call arguments as text or parsed; several calls in one message or one by one.
 * Whichever the template takes.
 * @throws {ServingError} INVALID_REQUEST for parts that are not text.
 */
export function templateMessages(
  messages: readonly ChatMessage[],
  habits: Pick<TemplateHabits, 'textArguments' | 'nullContent' | 'severalCalls'>,
): Record<string, unknown>[] {
  const prepared = messages.map((message, index) => {
    const calls = message.tool_calls?.map((call) => prepareCall(call, habits.textArguments))
    const content = contentText(message, index, habits.nullContent)
    return { ...message, content, ...(calls && { tool_calls: calls }) }
  })
  return habits.severalCalls ? prepared : oneByOne(prepared)
}

interface Prepared extends Record<string, unknown> {
  readonly role: string
  readonly tool_calls?: readonly ToolCall[]
  readonly tool_call_id?: string
}

/** Several calls of one message as several messages, each before its result. */
function oneByOne(messages: readonly Prepared[]): Prepared[] {
  const result: Prepared[] = []
  const rest = [...messages]
  for (let message = rest.shift(); message !== undefined; message = rest.shift()) {
    const { tool_calls: calls = [] } = message
    if (calls.length < 2) {
      result.push(message)
      continue
    }
    for (const [index, call] of calls.entries()) {
      result.push({ ...message, ...(index > 0 && { content: '' }), tool_calls: [call] })
      const firstOther = rest.findIndex(({ role }) => role !== 'tool')
      const results = firstOther === -1 ? rest : rest.slice(0, firstOther)
      const at = results.findIndex((answer) => answer.tool_call_id === call.id)
      if (at !== -1) result.push(...rest.splice(at, 1))
    }
  }
  return result
}

function contentText(message: ChatMessage, index: number, nullContent: boolean): string | null {
  const { content } = message
  if (typeof content === 'string') return content
  if (content === undefined || content === null) {
    return nullContent && (message.tool_calls?.length ?? 0) > 0 ? null : ''
  }
  return content
    .map((part, partIndex) => partText(part, `messages[${index}].content[${partIndex}]`))
    .join('\n')
}

function partText(part: ContentPart, param: string): string {
  if (part.type === 'text' && typeof part.text === 'string') return part.text
  throw new ServingError(
    'INVALID_REQUEST',
    `This model reads text only, not content of type "${part.type}"`,
    { param },
  )
}

function prepareCall(call: ToolCall, textArguments: boolean): ToolCall {
  const { name, arguments: given } = call.function
  const prepared = textArguments ? argumentText(given) : argumentValue(given)
  return { ...call, type: call.type ?? 'function', function: { ...call.function, name, arguments: prepared } }
}

function argumentText(given: unknown): string {
  return typeof given === 'string' ? given : JSON.stringify(given)
}

/** Text that is not JSON (a model cut short) stays text: the template shows what was said. */
function argumentValue(given: unknown): unknown {
  if (typeof given !== 'string') return given
  try {
    return JSON.parse(given)
  } catch {
    return given
  }
}
