/** From the messages of a request to the text of its prompt. */
import { ServingError } from '../core/errors.ts'
import type { GrammarSpec } from '../core/grammar-spec.ts'
import type { ChatMessage } from '../text/chat-messages.ts'
import { forcedGrammar, forcedOpening, sequence, spelled } from '../text/output/forced-call.ts'
import type { ApiContext } from './context.ts'
import { callableTools, forcedCall } from './forced-tools.ts'
import type { ChatRequest } from './schemas/chat.ts'
import type { StructureFields } from './schemas/structure.ts'

type PromptField =
  | 'tools'
  | 'tool_choice'
  | 'parallel_tool_calls'
  | 'chat_template_kwargs'
  | 'reasoning_effort'

/** What of a request the prompt is made from. */
export type PromptFields = Pick<ChatRequest, 'messages'> &
  Partial<Pick<ChatRequest, PromptField>> &
  StructureFields

export interface ChatPrompt {
  readonly text: string
  /** It ends within the assistant's reasoning. */
  readonly isReasoning: boolean
  /** The beginning of a call that the answer must make: the end of the text, and the beginning of the answer. */
  readonly callOpening: string
  /** Of what follows; undefined: the prompt asks for none. */
  readonly grammar: GrammarSpec | undefined
}

/** @throws {ServingError} TEMPLATE_FAILED, or INVALID_REQUEST for a choice among tools that is none. */
export function chatPrompt({ chat, dialect }: ApiContext, body: PromptFields): ChatPrompt {
  const forced = forcedCall(body)
  const tools = body.tool_choice === 'none' ? undefined : body.tools
  const text = chat.render(fittingIds(body.messages as readonly ChatMessage[], dialect.family.fitId), {
    addGenerationPrompt: true,
    ...(tools === undefined || tools.length === 0 ? {} : { tools }),
    extra: { ...effortSwitches(body.reasoning_effort), ...body.chat_template_kwargs },
  })
  const { reasoning, family } = dialect
  const isReasoning = reasoning !== undefined && text.trimEnd().endsWith(reasoning.open)
  if (forced === undefined) return { text, isReasoning, callOpening: '', grammar: undefined }
  const opening = forcedOpening(family.shape, forced)
  const grammar = forcedGrammar(family.shape, callableTools(body), forced)
  // Reasoning comes first: the call is then all to be written.
  if (isReasoning) {
    return { text, isReasoning, callOpening: '', grammar: sequence(spelled(family.shape, opening), grammar) }
  }
  return { text: text + opening, isReasoning: false, callOpening: opening, grammar }
}

/** The prompt's text alone. @throws {ServingError} as `chatPrompt`. */
export function renderPrompt(context: ApiContext, body: PromptFields): string {
  return chatPrompt(context, body).text
}

/** How templates are told how much to think; `chat_template_kwargs` may say otherwise. */
function effortSwitches(effort: string | undefined): Readonly<Record<string, unknown>> {
  if (effort === undefined) return {}
  return { reasoning_effort: effort, enable_thinking: effort !== 'none' }
}

function fittingIds(
  messages: readonly ChatMessage[],
  fitId: ((id: string) => string) | undefined,
): readonly ChatMessage[] {
  if (fitId === undefined) return messages
  return messages.map((message) => ({
    ...message,
    ...(message.tool_call_id === undefined ? {} : { tool_call_id: fitId(message.tool_call_id) }),
    ...(message.tool_calls === undefined
      ? {}
      : { tool_calls: message.tool_calls.map((call) => ({ ...call, id: fitId(call.id ?? '') })) }),
  }))
}

/**
 * Looks at the unread body, so that a long list is refused before each message is looked at.
 * @throws {ServingError} INVALID_REQUEST for more messages than the server takes.
 */
export function checkMessageCount({ config }: ApiContext, body: unknown, param = 'messages'): void {
  const messages = ((body ?? {}) as Readonly<Record<string, unknown>>)[param]
  if (!Array.isArray(messages) || messages.length <= config.maxMessages) return
  const message = `${messages.length} messages; at most ${config.maxMessages} are accepted.`
  throw new ServingError('INVALID_REQUEST', message, { param })
}
