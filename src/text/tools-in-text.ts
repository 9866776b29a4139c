/** Tools for models whose chat template knows none: described, called and answered in plain messages. */
import type { ChatMessage } from './chat-messages.ts'

/** Tells of the tools where the conversation begins. */
export function introduceTools(messages: readonly ChatMessage[], tools: readonly unknown[]): ChatMessage[] {
  const at = messages.findIndex(({ role }) => role === 'system' || role === 'developer' || role === 'user')
  const message = messages[at]
  if (message === undefined) return [{ role: 'user', content: introduction(tools) }, ...messages]
  const texts = [textOf(message), introduction(tools)]
  const content = (message.role === 'user' ? texts.toReversed() : texts).join('\n\n')
  return messages.with(at, { ...message, content })
}

function introduction(tools: readonly unknown[]): string {
  return [
    'You can call these tools, one a line:',
    ...tools.map((tool) => JSON.stringify(tool)),
    'To call a tool, reply with nothing but its name and arguments as JSON: {"name": "...", "arguments": {...}}',
    'Else answer as usual.',
  ].join('\n')
}

/** Calls as text of the assistant, and results that follow one another as one message of the user. */
export function callsInText(messages: readonly ChatMessage[]): ChatMessage[] {
  const plain: ChatMessage[] = []
  for (const [index, message] of messages.entries()) {
    const said = plainMessage(message)
    const before = plain.at(-1)
    const isNext = message.role === 'tool' && messages[index - 1]?.role === 'tool'
    if (!isNext || before === undefined) plain.push(said)
    else plain[plain.length - 1] = { ...before, content: `${textOf(before)}\n\n${textOf(said)}` }
  }
  return plain
}

function plainMessage(message: ChatMessage): ChatMessage {
  if (message.role === 'tool') {
    return { role: 'user', content: `Result of the tool:\n${textOf(message)}` }
  }
  const { tool_calls: calls = [], ...rest } = message
  if (calls.length === 0) return message
  const lines = calls.map(({ function: { name, arguments: given } }) => {
    const args = typeof given === 'string' ? given : JSON.stringify(given)
    return `{"name": ${JSON.stringify(name)}, "arguments": ${args}}`
  })
  const said = textOf(message)
  return { ...rest, content: [...(said === '' ? [] : [said]), ...lines].join('\n') }
}

function textOf({ content }: ChatMessage): string {
  if (typeof content === 'string') return content
  return (content ?? []).map(({ text = '' }) => text).join('\n')
}

/** The same tools with an empty description wherever one may stand and none does. */
export function describedTools(tools: readonly unknown[]): unknown[] {
  return tools.map((tool) => {
    if (!isObject(tool) || !isObject(tool['function'])) return tool
    const { parameters, ...said } = tool['function']
    return {
      ...tool,
      function: {
        description: '',
        ...said,
        ...(isObject(parameters) && { parameters: described(parameters) }),
      },
    }
  })
}

function described(schema: Readonly<Record<string, unknown>>): unknown {
  const { properties } = schema
  if (!isObject(properties)) return schema
  const fields = Object.entries(properties).map(([name, field]) => [
    name,
    isObject(field) ? { description: '', ...field } : field,
  ])
  return { ...schema, properties: Object.fromEntries(fields) as unknown }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
