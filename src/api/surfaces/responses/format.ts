/** Answers as OpenAI's responses: a list of output items, whole or as numbered events. */
import { partsOf } from '../../../text/output/events.ts'
import type { Tokenizer } from '../../../text/tokenizer.ts'
import type { AnswerFormat, AnswerTotals } from '../../answer-format.ts'
import { errorBody } from '../../errors.ts'
import { eventStream, sseEvent } from '../../sse.ts'
import { ItemEvents, type SendEvent } from './item-events.ts'
import { itemOf, type OutputItem } from './items.ts'
import {
  responseObject,
  responseUsage,
  statusOf,
  type ResponseFacts,
  type ResponseObject,
} from './response-object.ts'

export interface ResponsesFormatOptions extends ResponseFacts {
  readonly tokenizer: Tokenizer
  /** The response is whole. */
  readonly onFinished: (response: ResponseObject) => void
}

export function responsesFormat(options: ResponsesFormatOptions): AnswerFormat {
  let sequenceNumber = 0
  const send: SendEvent = (type, fields) =>
    sseEvent({ type, sequence_number: sequenceNumber++, ...fields }, type)
  const events = new ItemEvents(send)
  const finished = ({ usage, results }: AnswerTotals, output: readonly OutputItem[]) => {
    const status = statusOf(results[0]?.reason)
    const counted = responseUsage(usage, reasoningTokens(options.tokenizer, output))
    const response = responseObject(options, { status, output, usage: counted, error: null })
    options.onFinished(response)
    return response
  }
  return {
    contentType: eventStream,
    body: ([choice], totals) => {
      const parts = partsOf(choice?.events ?? [])
      const cut = statusOf(totals.results[0]?.reason)
      const status = (index: number) => (index === parts.length - 1 ? cut : 'completed')
      return finished(
        totals,
        parts.map((part, index) => itemOf(part, status(index))),
      )
    },
    opening: () => {
      const response = responseObject(options, {
        status: 'in_progress',
        output: [],
        usage: null,
        error: null,
      })
      return send('response.created', { response }) + send('response.in_progress', { response })
    },
    delta: (delta) => delta.events.map((event) => events.write(event)).join(''),
    closing: (_, { reason }) => events.end(statusOf(reason)),
    finish: (totals) => {
      const response = finished(totals, events.items)
      return send(`response.${response.status}`, { response })
    },
    failure: ({ code, message, param }) => {
      const error = errorBody(code, message, param).error
      const output = events.items
      const state = {
        status: 'failed',
        output,
        usage: null,
        error: { code: 'server_error', message },
      } as const
      return (
        events.end('incomplete') +
        send('error', { code: error.code, message, param: error.param }) +
        send('response.failed', { response: responseObject(options, state) })
      )
    },
  }
}

/** Counted again from the text: tags are not part of it. */
function reasoningTokens(tokenizer: Tokenizer, output: readonly OutputItem[]): number {
  let count = 0
  for (const item of output) {
    if (item.type !== 'reasoning') continue
    for (const { text } of item.content)
      count += tokenizer.encode(text, { addSpecial: false, parseSpecial: false }).length
  }
  return count
}
