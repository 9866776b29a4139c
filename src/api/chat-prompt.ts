/** From the messages of a request to the text of its prompt. */
import { ServingError } from '../core/errors.ts'
import type { ChatMessage } from '../text/chat-messages.ts'
import type { ApiContext } from './context.ts'
import type { ChatRequest } from './schemas/chat.ts'

/** What of a request the prompt is made from. */
export interface PromptFields extends Pick<ChatRequest, 'messages'> {
  readonly tools?: ChatRequest['tools']
  readonly tool_choice?: ChatRequest['tool_choice']
  readonly chat_template_kwargs?: ChatRequest['chat_template_kwargs']
}

/** The prompt text of a chat. @throws {ServingError} TEMPLATE_FAILED. */
export function renderPrompt({ chat }: ApiContext, body: PromptFields): string {
  const tools = body.tool_choice === 'none' ? undefined : body.tools
  return chat.render(body.messages as readonly ChatMessage[], {
    addGenerationPrompt: true,
    ...(tools === undefined || tools.length === 0 ? {} : { tools }),
    ...(body.chat_template_kwargs === undefined ? {} : { extra: body.chat_template_kwargs }),
  })
}

/**
 * Looks at the unread body, so that a long list is refused before each message is looked at.
 * @throws {ServingError} INVALID_REQUEST for more messages than the server takes.
 */
export function checkMessageCount({ config }: ApiContext, body: unknown): void {
  const { messages } = (body ?? {}) as { readonly messages?: unknown }
  if (!Array.isArray(messages) || messages.length <= config.maxMessages) return
  const message = `${messages.length} messages; at most ${config.maxMessages} are accepted.`
  throw new ServingError('INVALID_REQUEST', message, { param: 'messages' })
}
