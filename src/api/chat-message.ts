/** The message of an answer, whole or in pieces, as OpenAI's chat completions have it. */
import { partsOf, type OutputEvent } from '../text/output/events.ts'
import type { Choice, Delta } from './answer-format.ts'

/** `reasoning_content` is vLLM's and DeepSeek's; OpenAI keeps reasoning to itself. */
export function chatMessage({ text, events }: Pick<Choice, 'text' | 'events'>) {
  const parts = partsOf(events)
  const reasoning = parts.map((part) => (part.kind === 'reasoning' ? part.text : '')).join('')
  const calls = parts.filter((part) => part.kind === 'call')
  return {
    role: 'assistant',
    content: calls.length > 0 && text === '' ? null : text,
    refusal: null,
    ...(reasoning === '' ? {} : { reasoning_content: reasoning }),
    ...(calls.length === 0
      ? {}
      : {
          tool_calls: calls.map(({ id, name, arguments: args }) => ({
            id,
            type: 'function',
            function: { name, arguments: args },
          })),
        }),
  }
}

interface CallDelta {
  readonly index: number
  readonly id?: string
  readonly type?: 'function'
  readonly function: { readonly name?: string; arguments: string }
}

/** Undefined when there is nothing to say. */
export function messageDelta({ events, details }: Pick<Delta, 'events' | 'details'>): object | undefined {
  const content = textIn(events, 'content')
  const reasoning = textIn(events, 'reasoning')
  const calls = callDeltas(events)
  const delta = {
    ...(content === undefined ? {} : { content }),
    ...(reasoning === undefined ? {} : { reasoning_content: reasoning }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  }
  if (Object.keys(delta).length > 0) return delta
  return details.length > 0 ? { content: '' } : undefined
}

function textIn(events: readonly OutputEvent[], kind: 'content' | 'reasoning'): string | undefined {
  const texts = events.flatMap((event) => (event.kind === kind ? [event.text] : []))
  return texts.length === 0 ? undefined : texts.join('')
}

/** One for each call that something is said of. */
function callDeltas(events: readonly OutputEvent[]): readonly CallDelta[] {
  const deltas: CallDelta[] = []
  for (const event of events) {
    if (event.kind === 'call-started') {
      const { index, id, name } = event
      deltas.push({ index, id, type: 'function', function: { name, arguments: '' } })
    } else if (event.kind === 'call-arguments') {
      const last = deltas.at(-1)
      if (last?.index === event.index) last.function.arguments += event.text
      else deltas.push({ index: event.index, function: { arguments: event.text } })
    }
  }
  return deltas
}
