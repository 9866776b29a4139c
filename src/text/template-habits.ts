/** What a chat template does with tools, found out by showing it some. */
import type { ChatMessage } from './chat-messages.ts'

export interface TemplateHabits {
  /**
   * It writes a call's arguments as they are when they come as text. If so they are passed as the model wrote them, and
   * the next turn begins with the very tokens whose KV is cached. Else they are passed parsed.
   */
  readonly textArguments: boolean
  /** A message with calls may have null for content; templates that look into the content want empty text. */
  readonly nullContent: boolean
  /** It writes calls at all. */
  readonly showsCalls: boolean
  /** A message may have several calls. */
  readonly severalCalls: boolean
  /** It tells the model which tools there are. */
  readonly listsTools: boolean
  /** Tools and their parameters may lack descriptions. */
  readonly bareTools: boolean
}

export interface Probe {
  readonly messages: readonly ChatMessage[]
  readonly tools?: readonly unknown[]
}

/** What is rendered; it may throw. */
export type ProbeRun = (probe: Probe) => string

const toolName = 'probe_tool'
const argumentText = '{"probe": "found"}'
const argumentValue: unknown = JSON.parse(argumentText)
const user: ChatMessage = { role: 'user', content: 'probe' }

export function habitsOf(run: ProbeRun): TemplateHabits {
  const show = (content: string | null, args: unknown, numCalls = 1) =>
    attempt(run, { messages: conversation(content, args, numCalls) })
  const plain = show(null, argumentValue)
  const nullContent = isShown(plain) && !/\b(None|null)\b/.test(plain)
  const content = nullContent ? null : ''
  const showsCalls = isShown(show(content, argumentValue))
  const bareTools = isShown(attempt(run, { messages: [user], tools: [toolWith({})] }))
  const tools = [toolWith({ description: 'probe' })]
  const listsTools = bareTools || isShown(attempt(run, { messages: [user], tools }))
  return {
    nullContent,
    showsCalls,
    textArguments: show(content, argumentText).includes(argumentText),
    severalCalls: !showsCalls || isShown(show(content, argumentValue, 2)),
    bareTools: bareTools || !listsTools,
    listsTools,
  }
}

const isShown = (text: string): boolean => text.includes(toolName)

/** A question, calls, and their results, with ids of nine characters as strict templates want them. */
function conversation(content: string | null, args: unknown, numCalls: number): ChatMessage[] {
  const ids = Array.from({ length: numCalls }, (_, index) => `call0000${index}`)
  const calls = ids.map((id) => ({ type: 'function', id, function: { name: toolName, arguments: args } }))
  const results = ids.map((id) => ({ role: 'tool', tool_call_id: id, content: 'probe' }))
  return [user, { role: 'assistant', content, tool_calls: calls }, ...results]
}

function toolWith(words: { readonly description?: string }) {
  const properties = { probe: { type: 'string', ...words } }
  const parameters = { type: 'object', properties, required: ['probe'] }
  return { type: 'function', function: { name: toolName, ...words, parameters } }
}

/** Nothing when the template refuses. */
function attempt(run: ProbeRun, probe: Probe): string {
  try {
    return run(probe)
  } catch {
    return ''
  }
}
