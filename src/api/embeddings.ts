/** Vectors of texts, whatever surface asks for them: each text is a sequence of its own, scheduled like any other. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { ServingError } from '../core/errors.ts'
import type { Pooling } from '../core/request.ts'
import { greedySampling } from '../core/sampling-params.ts'
import type { Micros } from '../core/units.ts'
import { answer } from './answer.ts'
import type { AnswerFormat, AnswerTotals } from './answer-format.ts'
import { checkModelName, requireEngine, type ApiContext } from './context.ts'
import { roomBehind, type GenerationResult } from './generation.ts'
import type { TermFields } from './schemas/terms.ts'
import { askerOf } from './service-terms.ts'

/** OpenAI's bound of texts in one request. */
const maxTexts = 2048

export interface EmbeddingExchange {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly arrivedAt: Micros
  readonly model: string | undefined
  readonly terms: TermFields
  /** Texts, or their tokens. */
  readonly inputs: readonly (string | readonly number[])[]
  /** The field that they came in. */
  readonly param: string
  readonly pooling: Pooling
  /** Texts that are too long are cut, not refused. */
  readonly truncates?: boolean | undefined
}

export interface Embedded {
  /** Of length 1 each, in the order of the inputs. */
  readonly vectors: readonly Float32Array[]
  readonly numTokens: number
  readonly results: readonly GenerationResult[]
}

/** @throws {ServingError} what admission and engine refuse, and INVALID_REQUEST for texts that cannot be embedded. */
export async function answerEmbeddings(
  context: ApiContext,
  exchange: EmbeddingExchange,
  bodyOf: (embedded: Embedded) => unknown,
): Promise<FastifyReply> {
  const { request, reply, arrivedAt, terms, inputs, param, pooling } = exchange
  checkModelName(context, exchange.model)
  checkCount(inputs, param)
  const asker = askerOf(context, request, terms, arrivedAt)
  const info = await requireEngine(context)
  const longest = Math.min(info.maxModelLen, info.numBlocks * info.blockSize) - 1
  const prompts = inputs.map((input) => {
    const tokens = tokensOf(context, input)
    return exchange.truncates === true ? tokens.slice(0, longest) : tokens
  })
  prompts.forEach((prompt, index) =>
    roomBehind(info, prompt, inputs.length === 1 ? param : `${param}[${index}]`),
  )
  const generations = prompts.map((promptTokens) => ({
    promptTokens,
    sampling: greedySampling,
    maxTokens: 1,
    askedTokens: 1,
    stop: [],
    stopTokenIds: [],
    ignoreEos: true,
    terms: asker.terms,
    cache: {},
    arrivedAt,
    pooling,
  }))
  const numPromptTokens = prompts.reduce((sum, prompt) => sum + prompt.length, 0)
  return answer(
    context,
    { request, reply },
    { asker, generations, numPromptTokens, stream: false },
    embeddingFormat(bodyOf),
  )
}

/** How texts become vectors: what the server was told, else what the file says, else their mean. */
export function poolingOf(context: ApiContext): Pooling {
  return knownPooling(context) ?? 'mean'
}

/** Undefined for a model that was not made to embed, unless the server was told to. */
export function knownPooling({ card, config }: ApiContext): Pooling | undefined {
  if (config.pooling !== undefined) return config.pooling
  const { pooling } = card ?? {}
  if (pooling === 'rank') {
    const message = 'This model scores pairs of texts by a head of its own, which is not supported.'
    throw new ServingError('INVALID_REQUEST', message, { param: 'model' })
  }
  return pooling === 'none' ? undefined : pooling
}

function checkCount(inputs: readonly unknown[], param: string): void {
  if (inputs.length > 0 && inputs.length <= maxTexts) return
  const message = `'${param}' has ${inputs.length} texts; 1 to ${maxTexts} are accepted.`
  throw new ServingError('INVALID_REQUEST', message, { param })
}

function tokensOf({ tokenizer }: ApiContext, input: string | readonly number[]): readonly number[] {
  return typeof input === 'string'
    ? tokenizer.encode(input, { addSpecial: true, parseSpecial: false })
    : input
}

function embeddingFormat(bodyOf: (embedded: Embedded) => unknown): AnswerFormat {
  const nothing = () => ''
  return {
    contentType: 'application/json',
    body: (_, { usage, results }: AnswerTotals) =>
      bodyOf({
        vectors: results.map(({ vector }) => normalised(vector ?? new Float32Array(0))),
        numTokens: usage.prompt_tokens,
        results,
      }),
    opening: nothing,
    delta: nothing,
    closing: nothing,
    finish: nothing,
    failure: nothing,
  }
}

/** The same direction at length 1; zeros stay zeros. */
export function normalised(vector: Float32Array): Float32Array {
  let squares = 0
  for (const value of vector) squares += value * value
  const scale = squares > 0 ? 1 / Math.sqrt(squares) : 0
  return vector.map((value) => value * scale)
}

/** Of vectors of length 1. */
export function cosine(a: Float32Array, b: Float32Array): number {
  let sum = 0
  for (let index = 0; index < a.length; index++) sum += a[index]! * b[index]!
  return sum
}
