/** Chat messages in OpenAI's shape, and the form in which templates expect them. */
import { ServingError } from '../core/errors.ts'

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
 * Messages as plain values for a template: text parts joined by line breaks, missing content as empty text (null where
 * tool calls stand in for it), and call arguments as text or parsed, whichever the template takes.
 * @throws {ServingError} INVALID_REQUEST for parts that are not text.
 */
export function templateMessages(
  messages: readonly ChatMessage[],
  options: { readonly textArguments: boolean },
): Record<string, unknown>[] {
  return messages.map((message, index) => {
    const prepared: Record<string, unknown> = { ...message, content: contentText(message, index) }
    if (message.tool_calls !== undefined) {
      prepared['tool_calls'] = message.tool_calls.map((call) => prepareCall(call, options.textArguments))
    }
    return prepared
  })
}

function contentText(message: ChatMessage, index: number): string | null {
  const { content } = message
  if (typeof content === 'string') return content
  if (content === undefined || content === null) return (message.tool_calls?.length ?? 0) > 0 ? null : ''
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

function prepareCall(call: ToolCall, textArguments: boolean): unknown {
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
