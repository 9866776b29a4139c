/** Answers a chat, whatever surface it came over: each translates its requests to `ChatRequest`. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { ServingError } from '../core/errors.ts'
import type { GrammarSpec } from '../core/grammar-spec.ts'
import type { Micros } from '../core/units.ts'
import { encodePrompt } from '../text/chat-template.ts'
import { answerGrammar } from './answer-grammar.ts'
import { answer } from './answer.ts'
import type { AnswerFormat } from './answer-format.ts'
import { chatOutput } from './chat-output.ts'
import { chatPrompt } from './chat-prompt.ts'
import { checkModelName, requireEngine, type ApiContext } from './context.ts'
import { checkTokens, roomBehind, type OutputTerms } from './generation.ts'
import { raceOf } from './race.ts'
import type { ChatRequest } from './schemas/chat.ts'
import { cacheTerms } from './schemas/cache.ts'
import { samplingParams } from './schemas/sampling.ts'
import { askerOf } from './service-terms.ts'
import { grammarOf } from './structure.ts'

export interface ChatExchange {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly arrivedAt: Micros
  readonly body: ChatRequest
}

/** What of a chat is known before its answer begins. */
export interface ChatFacts {
  readonly numPromptTokens: number
}

export interface PromptToAnswer {
  readonly tokens: readonly number[]
  /** How the answer is read; undefined: all of it is content. */
  readonly output?: OutputTerms
  /** Undefined: what the fields of the body ask for. */
  readonly grammar?: GrammarSpec | undefined
}

export async function answerChat(
  context: ApiContext,
  exchange: ChatExchange,
  formatOf: (facts: ChatFacts) => AnswerFormat,
): Promise<FastifyReply> {
  const { body } = exchange
  const promptOf = () => {
    const prompt = chatPrompt(context, body)
    return {
      tokens: encodePrompt(context.tokenizer, prompt.text),
      output: chatOutput(context, body, prompt),
      grammar: answerGrammar(context.dialect, body, prompt),
    }
  }
  return answerPrompt(context, exchange, promptOf, formatOf)
}

/** The same behind a prompt that is made in another way; the messages of the body are left alone. */
export async function answerPrompt(
  context: ApiContext,
  { request, reply, arrivedAt, body }: ChatExchange,
  promptOf: () => PromptToAnswer,
  formatOf: (facts: ChatFacts) => AnswerFormat,
): Promise<FastifyReply> {
  checkModelName(context, body.model)
  checkLimits(context, body)
  const asker = askerOf(context, request, body, arrivedAt)
  const info = await requireEngine(context)
  const { tokens: promptTokens, output, grammar: forced } = promptOf()
  const room = roomBehind(info, promptTokens, 'messages')
  checkTokens(info, body.logit_bias?.keys() ?? [], 'logit_bias')
  const sampling = samplingParams(body, body.logprobs === true ? (body.top_logprobs ?? 0) : undefined)
  const grammar = forced ?? grammarOf(body)
  const { race, picking } = raceOf(body, body.n ?? 1)
  const generations = Array.from({ length: body.n ?? 1 }, (_, index) => ({
    promptTokens,
    sampling: { ...sampling, seed: sampling.seed + index },
    maxTokens: Math.min(room, body.max_completion_tokens ?? body.max_tokens ?? room),
    askedTokens: body.max_completion_tokens ?? body.max_tokens,
    stop: body.stop ?? [],
    stopTokenIds: body.stop_token_ids ?? [],
    ignoreEos: body.ignore_eos ?? false,
    terms: asker.terms,
    grammar,
    race,
    cache: cacheTerms(body),
    arrivedAt,
    followsTool: body.messages.at(-1)?.role === 'tool',
    output,
  }))
  const numPromptTokens = promptTokens.length
  return answer(
    context,
    { request, reply },
    { asker, generations, numPromptTokens, stream: body.stream ?? false, picking },
    formatOf({ numPromptTokens }),
  )
}

function checkLimits({ config }: ApiContext, { n = 1, logprobs, top_logprobs: top = 0 }: ChatRequest): void {
  if (n > config.maxChoices) {
    const message = `n is ${n}; at most ${config.maxChoices} is accepted.`
    throw new ServingError('INVALID_REQUEST', message, { param: 'n' })
  }
  if (top > 0 && logprobs !== true) {
    const message = "'top_logprobs' needs 'logprobs' to be true."
    throw new ServingError('INVALID_REQUEST', message, { param: 'top_logprobs' })
  }
}
