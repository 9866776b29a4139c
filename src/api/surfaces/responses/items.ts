/** The items that a response says, and an input that is no list as one. */
import { randomUUID } from 'node:crypto'
import type { OutputPart } from '../../../text/output/events.ts'
import type { InputItem, InputTokensBody } from './schema.ts'

export const newId = (prefix: string): string => `${prefix}_${randomUUID().replaceAll('-', '')}`

export type ItemStatus = 'in_progress' | 'completed' | 'incomplete'

export type OutputItem =
  | {
      readonly id: string
      readonly type: 'message'
      readonly status: ItemStatus
      readonly role: 'assistant'
      readonly content: readonly OutputText[]
    }
  | {
      readonly id: string
      readonly type: 'reasoning'
      readonly status: ItemStatus
      readonly summary: readonly never[]
      readonly content: readonly { readonly type: 'reasoning_text'; readonly text: string }[]
    }
  | {
      readonly id: string
      readonly type: 'function_call'
      readonly status: ItemStatus
      readonly call_id: string
      readonly name: string
      readonly arguments: string
    }

export interface OutputText {
  readonly type: 'output_text'
  readonly text: string
  readonly annotations: readonly never[]
  readonly logprobs: readonly never[]
}

export const outputText = (text: string): OutputText => ({
  type: 'output_text',
  text,
  annotations: [],
  logprobs: [],
})

export function itemOf(part: OutputPart, status: ItemStatus): OutputItem {
  switch (part.kind) {
    case 'content':
      return {
        id: newId('msg'),
        type: 'message',
        status,
        role: 'assistant',
        content: [outputText(part.text)],
      }
    case 'reasoning':
      return {
        id: newId('rs'),
        type: 'reasoning',
        status,
        summary: [],
        content: [{ type: 'reasoning_text', text: part.text }],
      }
    case 'call': {
      const { id: callId, name, arguments: given } = part
      return { id: newId('fc'), type: 'function_call', status, call_id: callId, name, arguments: given }
    }
  }
  return part satisfies never
}

const idPrefixes = {
  message: 'msg',
  function_call: 'fc',
  function_call_output: 'fco',
  reasoning: 'rs',
} as const satisfies Record<InputItem['type'], string>

export type StoredItem = InputItem & { readonly id: string }

/** Every item with an id, and contents as parts, as they are listed. */
export function inputItems(input: InputTokensBody['input']): StoredItem[] {
  const items: readonly InputItem[] =
    typeof input === 'string'
      ? [{ type: 'message', role: 'user', content: input } as InputItem]
      : (input ?? [])
  return items.map((item) => {
    const id = item.id ?? newId(idPrefixes[item.type])
    if (item.type !== 'message' || typeof item.content !== 'string') return { ...item, id }
    const type = item.role === 'assistant' ? ('output_text' as const) : ('input_text' as const)
    return { ...item, id, content: [{ type, text: item.content }] }
  })
}
