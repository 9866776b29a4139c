import { randomUUID } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { ServingError } from '../../core/errors.ts'
import { answer } from '../answer.ts'
import { checkModelName, modelName, requireEngine, type ApiContext } from '../context.ts'
import { parseBody } from '../errors.ts'
import { checkTokens, roomBehind } from '../generation.ts'
import type { TokenDetail } from '../generation.ts'
import { completionLogprobs } from '../logprobs.ts'
import { openAiFormat, type ChoiceFormat } from '../openai-format.ts'
import { raceOf } from '../race.ts'
import { completionRequest, type CompletionRequest } from '../schemas/completions.ts'
import { cacheTerms } from '../schemas/cache.ts'
import { samplingParams } from '../schemas/sampling.ts'
import { askerOf } from '../service-terms.ts'
import { grammarOf } from '../structure.ts'

/** OpenAI's default. */
const defaultMaxTokens = 16

export function completions(app: FastifyInstance, context: ApiContext): void {
  app.post('/v1/completions', async (request, reply) => {
    const arrivedAt = context.clock.now()
    const body = parseBody(completionRequest, request.body)
    checkModelName(context, body.model)
    refuseUnsupported(body)
    const asker = askerOf(context, request, body, arrivedAt)
    const info = await requireEngine(context)
    const prompts = promptsOf(context, body)
    const numSamples = numSamplesOf(body, prompts.length)
    const numChoices = prompts.length * numSamples
    if (numChoices > context.config.maxChoices) {
      const message = `${numChoices} answers were asked for; at most ${context.config.maxChoices} are given.`
      throw new ServingError('INVALID_REQUEST', message, { param: 'n' })
    }
    const rooms = prompts.map((prompt) => roomBehind(info, prompt, 'prompt'))
    checkTokens(info, body.logit_bias?.keys() ?? [], 'logit_bias')
    const grammar = grammarOf(body)
    const ranks = body.best_of !== undefined
    const sampling = samplingParams(body, body.logprobs ?? (ranks ? 0 : undefined))
    const { race, picking } = raceOf(body, numSamples)
    const generations = prompts.flatMap((promptTokens, promptIndex) =>
      Array.from({ length: numSamples }, (_, index) => ({
        promptTokens,
        sampling: { ...sampling, seed: sampling.seed + index },
        maxTokens: Math.min(rooms[promptIndex] ?? 0, body.max_tokens ?? defaultMaxTokens),
        askedTokens: body.max_tokens ?? defaultMaxTokens,
        stop: body.stop ?? [],
        stopTokenIds: body.stop_token_ids ?? [],
        ignoreEos: body.ignore_eos ?? false,
        tellsTokens: body.return_token_ids,
        terms: asker.terms,
        grammar,
        race,
        cache: cacheTerms(body),
        arrivedAt,
      })),
    )
    const numPromptTokens = prompts.reduce((sum, prompt) => sum + prompt.length, 0)
    return answer(
      context,
      { request, reply },
      {
        asker,
        generations,
        numPromptTokens,
        stream: body.stream ?? false,
        picking: ranks ? { by: 'best', count: body.n ?? 1 } : picking,
      },
      openAiFormat(completionFormat(context, body.logprobs !== undefined, body.return_token_ids === true), {
        numPromptTokens,
        includeUsage: body.stream_options?.include_usage ?? false,
      }),
    )
  })
}

function refuseUnsupported(body: CompletionRequest): void {
  for (const param of ['echo', 'suffix'] as const) {
    if (body[param] === undefined || body[param] === false || body[param] === '') continue
    throw new ServingError('INVALID_REQUEST', `'${param}' is not supported.`, { param })
  }
}

/**
 * Samples of each prompt.
 * @throws {ServingError} INVALID_REQUEST when samples are to be picked, and it is not clear from what.
 */
function numSamplesOf(
  { n = 1, best_of: bestOf, race, stream }: CompletionRequest,
  numPrompts: number,
): number {
  const refuse = (param: string, message: string) => new ServingError('INVALID_REQUEST', message, { param })
  if (race !== undefined && numPrompts > 1) throw refuse('race', "'race' is for one prompt.")
  if (bestOf === undefined) return n
  if (bestOf < n) throw refuse('best_of', "'best_of' is smaller than 'n'.")
  if (stream === true) throw refuse('best_of', "'best_of' cannot be streamed: the best is known at the end.")
  if (numPrompts > 1) throw refuse('best_of', "'best_of' is for one prompt.")
  if (race !== undefined) throw refuse('race', "'race' and 'best_of' exclude each other.")
  return bestOf
}

/** A prompt is text or tokens; a list of either is several prompts. */
function promptsOf({ tokenizer }: ApiContext, { prompt }: CompletionRequest): readonly (readonly number[])[] {
  const encode = (text: string) => tokenizer.encode(text, { addSpecial: true, parseSpecial: true })
  if (typeof prompt === 'string') return [encode(prompt)]
  if (typeof prompt[0] === 'number') return [prompt as number[]]
  return (prompt as (string | number[])[]).map((one) => (typeof one === 'string' ? encode(one) : one))
}

function completionFormat(context: ApiContext, withLogprobs: boolean, withTokenIds: boolean): ChoiceFormat {
  const tokenIds = (details: readonly TokenDetail[]) =>
    withTokenIds ? { token_ids: details.map(({ tokenId }) => tokenId) } : {}
  const envelope = {
    id: `cmpl-${randomUUID()}`,
    object: 'text_completion',
    created: Math.floor(Date.now() / 1000),
    model: modelName(context),
  }
  const logprobs = (details: Parameters<typeof completionLogprobs>[1], offset: number) =>
    withLogprobs ? completionLogprobs(context.tokenizer, details, offset) : null
  return {
    envelope,
    chunkEnvelope: envelope,
    choice: ({ index, text, details, result }) => ({
      index,
      text,
      logprobs: logprobs(details, 0),
      ...tokenIds(details),
      finish_reason: result?.reason ?? null,
    }),
    opening: () => undefined,
    delta: ({ index, text, details, offset }) => ({
      index,
      text,
      logprobs: logprobs(details, offset),
      ...tokenIds(details),
      finish_reason: null,
    }),
    closing: (index, reason) => ({ index, text: '', logprobs: null, finish_reason: reason }),
  }
}
