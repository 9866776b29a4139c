/**
 * Runs the generations of one request and sends their text in the request's form: one JSON object, or a stream of
 * chunks. What an answer or a chunk looks like comes from the surface (`AnswerFormat`).
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { ServingError } from '../core/errors.ts'
import type { Ticket } from './admission/admission.ts'
import { rateHeaders } from './admission/rate-headers.ts'
import { appendEvents, partsOf, type OutputEvent } from '../text/output/events.ts'
import { pickChoices, type Picking } from './choice-picking.ts'
import { ChunkStream } from './chunk-stream.ts'
import { contentIn, type AnswerFormat, type AnswerTotals, type Choice } from './answer-format.ts'
import type { ApiContext } from './context.ts'
import { sendError } from './errors.ts'
import { Generation, type GenerationOptions, type GenerationResult, type TokenDetail } from './generation.ts'
import type { Asker } from './service-terms.ts'
import type { RequestRecord } from './timeline-store.ts'
import { usageOf } from './usage.ts'
import { WinnerStream } from './winner-stream.ts'

export interface AnswerRequest {
  readonly asker: Asker
  /** One per choice. */
  readonly generations: readonly GenerationOptions[]
  readonly numPromptTokens: number
  readonly stream: boolean
  /** Undefined: all choices are given back. */
  readonly picking?: Picking | undefined
}

/** Answers, and cancels what is still generated when the client goes away. */
export async function answer(
  context: ApiContext,
  http: { readonly request: FastifyRequest; readonly reply: FastifyReply },
  request: AnswerRequest,
  format: AnswerFormat,
): Promise<FastifyReply> {
  const { raw } = http.reply
  // Its close event is over: nobody would cancel.
  if (raw.destroyed) return sendError(http.reply, clientGone())
  const tickets = admit(context, http.reply, request)
  const record = recordOf(http.request.id, request)
  context.timelines.begin(record)
  const end = context.active.start()
  raw.once('finish', end)
  raw.once('close', end)
  const choices = request.generations.map((_, index): Choice => ({
    index,
    text: '',
    events: [],
    details: [],
    result: undefined,
    place: Infinity,
  }))
  return request.stream
    ? stream(context, http, { ...request, tickets, record }, format, choices)
    : collect(context, http, { ...request, tickets, record }, format, choices)
}

/** An answer that was let in: a ticket for each generation. */
interface Admitted extends AnswerRequest {
  readonly tickets: readonly Ticket[]
  readonly record: RequestRecord
}

function recordOf(id: string, { asker, generations, numPromptTokens }: AnswerRequest): RequestRecord {
  const { tenant, serviceClass, program } = asker.terms
  const choices = generations.map(() => undefined)
  const { arrivedAt } = generations[0] as GenerationOptions
  return { id, tenant, serviceClass, program, numPromptTokens, arrivedAt, choices }
}

/** @throws {ServingError} RATE_LIMITED, QUEUE_FULL or TOO_LATE. Tells what is left of the limits either way. */
function admit(
  { admission, clock }: ApiContext,
  reply: FastifyReply,
  request: AnswerRequest,
): readonly Ticket[] {
  const { asker, generations } = request
  const { tenant, weight } = asker.terms
  const sequences = generations.map(({ promptTokens, askedTokens }) => ({
    numPromptTokens: promptTokens.length,
    maxTokens: askedTokens,
  }))
  const now = clock.now()
  try {
    return admission.admit({ ...asker, tenant, weight, sequences }, now)
  } finally {
    void reply.headers(rateHeaders(admission.rateState(tenant, now)))
  }
}

async function collect(
  context: ApiContext,
  { request: httpRequest, reply }: { readonly request: FastifyRequest; readonly reply: FastifyReply },
  request: Admitted,
  format: AnswerFormat,
  choices: readonly Choice[],
): Promise<FastifyReply> {
  try {
    await run(context, reply, request, choices, () => undefined)
  } catch (error) {
    return sendError(reply, error)
  }
  for (const choice of choices) settleCalls(choice)
  const totals = totalsOf(request, choices)
  logFinished(httpRequest, request, totals.results)
  return reply.send(format.body(pick(request, choices), totals))
}

/** A call that came out wrong is content in an answer that is whole. */
function settleCalls(choice: Choice): void {
  const parts = partsOf(choice.events)
  choice.text = contentIn(parts)
  const hasCalls = parts.some(({ kind }) => kind === 'call')
  if (!hasCalls && choice.result?.reason === 'tool_calls')
    choice.result = { ...choice.result, reason: 'stop' }
}

function totalsOf(request: Admitted, choices: readonly Choice[]): AnswerTotals {
  const results = choices.map(({ result }) => result).filter((result) => result !== undefined)
  return { results, usage: usageOf(request, results) }
}

/** Those that are given back. */
function pick({ picking }: Admitted, choices: readonly Choice[]): readonly Choice[] {
  return picking === undefined ? choices : pickChoices(picking, choices)
}

async function stream(
  context: ApiContext,
  { request: httpRequest, reply }: { readonly request: FastifyRequest; readonly reply: FastifyReply },
  request: Admitted,
  format: AnswerFormat,
  choices: readonly Choice[],
): Promise<FastifyReply> {
  reply.hijack()
  const numWinners = request.picking?.by === 'first' ? request.picking.count : undefined
  const chunks = new ChunkStream(reply.raw, format, {
    headers: reply.getHeaders() as Record<string, string>,
    numChoices: numWinners ?? choices.length,
  })
  const winners = numWinners === undefined ? undefined : new WinnerStream(chunks, numWinners)
  try {
    await run(context, reply, request, choices, (choice, events, details) => {
      if (winners !== undefined)
        return choice.result === undefined ? winners.delta(choice, events, details) : winners.close(choice)
      if (choice.result !== undefined) return chunks.close(choice)
      const text = contentIn(events)
      chunks.delta({ index: choice.index, offset: choice.text.length, text, events, details })
    })
    const totals = totalsOf(request, choices)
    logFinished(httpRequest, request, totals.results)
    chunks.finish(totals)
  } catch (error) {
    if (!(error instanceof ServingError)) httpRequest.log.error({ err: error }, 'stream failed')
    chunks.fail(error instanceof ServingError ? error : new ServingError('INTERNAL', 'The answer broke off.'))
  }
  return reply
}

type OnProgress = (choice: Choice, events: readonly OutputEvent[], details: readonly TokenDetail[]) => void

/** Resolves when all choices are finished; rejects with the first failure, or ABORTED when the client went away. */
function run(
  context: ApiContext,
  reply: FastifyReply,
  request: Admitted,
  choices: readonly Choice[],
  onProgress: OnProgress,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let numOpen = request.picking?.by === 'first' ? request.picking.count : choices.length
    let numFinished = 0
    const generations = request.generations.map((options, index) => {
      const choice = choices[index] as Choice
      return new Generation(context, options, request.tickets[index] as Ticket, {
        onOutput(events, details) {
          onProgress(choice, events, details)
          if (request.stream) choice.text += contentIn(events)
          else {
            choice.details.push(...details)
            appendEvents(choice.events, events)
          }
        },
        onFinished(result) {
          choice.result = result
          choice.place = numFinished++
          onProgress(choice, [], [])
          if (--numOpen === 0) settle(resolve)
        },
        onEnd(record) {
          request.record.choices[index] = record
        },
        onError(error) {
          settle(() => reject(error))
        },
      })
    })
    const abortAll = () => {
      for (const generation of generations) generation.abort()
    }
    const onClose = () => settle(() => reject(clientGone()))
    const settle = (finish: () => void) => {
      reply.raw.off('close', onClose)
      if (numFinished < choices.length) abortAll()
      finish()
    }
    reply.raw.on('close', onClose)
    for (const generation of generations) generation.start()
  })
}

const clientGone = () => new ServingError('ABORTED', 'The client went away.')

function logFinished(
  http: FastifyRequest,
  request: AnswerRequest,
  results: readonly GenerationResult[],
): void {
  const [first] = results
  if (first === undefined) return
  const { timings } = first
  http.log.info(
    {
      promptTokens: request.numPromptTokens,
      outputTokens: results.reduce((sum, { numOutputTokens }) => sum + numOutputTokens, 0),
      finish: results.map(({ reason }) => reason).join(','),
      totalMs: Math.round((timings.finishedAt - timings.arrivedAt) / 1000),
      firstTokenMs: timings.firstTokenAt && Math.round((timings.firstTokenAt - timings.arrivedAt) / 1000),
      preemptions: timings.numPreemptions,
    },
    'generated',
  )
}
