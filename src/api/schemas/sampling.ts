/** The fields that chat and text completions share. Unknown fields are ignored, as OpenAI's servers do. */
import { randomInt } from 'node:crypto'
import { z } from 'zod'
import type { SamplingParams } from '../../core/sampling-params.ts'

/** Clients send null for "not set". */
export const optional = <T extends z.ZodType>(schema: T) =>
  schema.nullish().transform((value) => value ?? undefined)

const stop = z.union([z.string().transform((text) => [text]), z.array(z.string()).max(16)])
const tokenId = z.number().int().nonnegative()

export const samplingFields = {
  model: optional(z.string()),
  temperature: optional(z.number().min(0).max(100)),
  top_p: optional(z.number().gt(0).max(1)),
  top_k: optional(z.number().int().min(-1)),
  min_p: optional(z.number().min(0).max(1)),
  presence_penalty: optional(z.number().min(-2).max(2)),
  frequency_penalty: optional(z.number().min(-2).max(2)),
  repetition_penalty: optional(z.number().gt(0).max(10)),
  logit_bias: optional(z.record(z.string().regex(/^\d+$/), z.number().min(-100).max(100))),
  seed: optional(z.number().int()),
  stop: optional(stop),
  stop_token_ids: optional(z.array(tokenId).max(64)),
  max_tokens: optional(z.number().int().min(1)),
  n: optional(z.number().int().min(1)),
  stream: optional(z.boolean()),
  stream_options: optional(z.object({ include_usage: optional(z.boolean()) })),
  ignore_eos: optional(z.boolean()),
  user: optional(z.string().max(512)),
} as const

const samplingSchema = z.object(samplingFields)
export type SamplingFields = z.infer<typeof samplingSchema>

/** OpenAI's defaults: temperature 1 and no filter. */
export function samplingParams(fields: SamplingFields, topLogprobs: number | undefined): SamplingParams {
  return {
    temperature: fields.temperature ?? 1,
    topK: Math.max(0, fields.top_k ?? 0),
    topP: fields.top_p ?? 1,
    minP: fields.min_p ?? 0,
    presencePenalty: fields.presence_penalty ?? 0,
    frequencyPenalty: fields.frequency_penalty ?? 0,
    repetitionPenalty: fields.repetition_penalty ?? 1,
    logitBias: new Map(Object.entries(fields.logit_bias ?? {}).map(([id, bias]) => [Number(id), bias])),
    seed: fields.seed ?? randomInt(2 ** 47),
    topLogprobs,
  }
}
