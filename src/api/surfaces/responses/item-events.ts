/** The output items of a streamed response, and the events that tell how they grow. */
import type { OutputEvent } from '../../../text/output/events.ts'
import { itemOf, newId, outputText, type OutputItem } from './items.ts'

export type SendEvent = (type: string, fields: Readonly<Record<string, unknown>>) => string

/** One item is open at a time; events of another kind close it. */
export class ItemEvents {
  readonly items: OutputItem[] = []
  readonly #send: SendEvent
  #open: OpenItem | undefined

  constructor(send: SendEvent) {
    this.#send = send
  }

  write(event: OutputEvent): string {
    switch (event.kind) {
      case 'content':
      case 'reasoning':
        return this.#addText(event.kind, event.text)
      case 'call-started':
        return this.end('completed') + this.#begin({ ...event, kind: 'call', text: '' })
      case 'call-arguments':
        return this.#grow(event.text, 'response.function_call_arguments.delta')
      case 'call-ended':
        return this.end(event.isValid ? 'completed' : 'incomplete')
    }
    return event satisfies never
  }

  end(status: 'completed' | 'incomplete'): string {
    const open = this.#open
    if (open === undefined) return ''
    this.#open = undefined
    const item = { ...shown(open, status), id: open.itemId }
    const at = { item_id: open.itemId, output_index: this.items.length }
    this.items.push(item)
    const done = () => this.#send('response.output_item.done', { output_index: at.output_index, item })
    if (open.kind === 'call') {
      const fields = { ...at, name: open.name, arguments: open.text }
      return this.#send('response.function_call_arguments.done', fields) + done()
    }
    const place = { ...at, content_index: 0 }
    const type = open.kind === 'content' ? 'response.output_text.done' : 'response.reasoning_text.done'
    const text = { ...place, text: open.text, ...(open.kind === 'content' && { logprobs: [] }) }
    return (
      this.#send(type, text) +
      this.#send('response.content_part.done', { ...place, part: partOf(open.kind, open.text) }) +
      done()
    )
  }

  #addText(kind: 'content' | 'reasoning', text: string): string {
    const begin = this.#open?.kind === kind ? '' : this.end('completed') + this.#begin({ kind, text: '' })
    return (
      begin +
      this.#grow(text, kind === 'content' ? 'response.output_text.delta' : 'response.reasoning_text.delta')
    )
  }

  #begin(opening: Opening): string {
    const prefix = { content: 'msg', reasoning: 'rs', call: 'fc' }[opening.kind]
    const open = { ...opening, itemId: newId(prefix) }
    this.#open = open
    const output_index = this.items.length
    const empty = { ...shown(open, 'in_progress'), id: open.itemId }
    const item = open.kind === 'call' ? empty : { ...empty, content: [] }
    const added = this.#send('response.output_item.added', { output_index, item })
    if (open.kind === 'call') return added
    const part = { item_id: open.itemId, output_index, content_index: 0, part: partOf(open.kind, '') }
    return added + this.#send('response.content_part.added', part)
  }

  #grow(text: string, type: string): string {
    const open = this.#open
    if (open === undefined) return ''
    open.text += text
    const at = { item_id: open.itemId, output_index: this.items.length, delta: text }
    if (open.kind === 'call') return this.#send(type, at)
    return this.#send(type, { ...at, content_index: 0, ...(open.kind === 'content' && { logprobs: [] }) })
  }
}

type Opening =
  | { readonly kind: 'content' | 'reasoning'; text: string }
  | { readonly kind: 'call'; readonly id: string; readonly name: string; text: string }

type OpenItem = Opening & { readonly itemId: string }

function shown(open: OpenItem, status: OutputItem['status']): OutputItem {
  if (open.kind !== 'call') return itemOf({ kind: open.kind, text: open.text }, status)
  return itemOf({ kind: 'call', id: open.id, name: open.name, arguments: open.text }, status)
}

function partOf(kind: 'content' | 'reasoning', text: string) {
  return kind === 'content' ? outputText(text) : { type: 'reasoning_text', text }
}
