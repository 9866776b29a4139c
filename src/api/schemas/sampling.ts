/** The fields that chat and text completions share. Unknown fields are ignored, as OpenAI's servers do. */
import { randomInt } from 'node:crypto'
import { z } from 'zod'
import type { SamplingParams } from '../../core/sampling-params.ts'

/** Clients send null for "not set". */
export const optional = <T extends z.ZodType>(schema: T) =>
  schema.nullish().transform((value) => value ?? undefined)

/** What the elements of a `listOf` are, by the array it reads: its own type says nothing of them. */
export const listElements = new WeakMap<z.core.$ZodType, z.ZodType>()

/** An array read up to its first wrong element: a long wrong list costs no more than a right one. */
export function listOf<T extends z.ZodType>(
  element: T,
  { min = 0, max = Infinity }: { readonly min?: number; readonly max?: number } = {},
) {
  const least = z.array(z.unknown()).min(min)
  const items = max === Infinity ? least : least.max(max)
  listElements.set(items, element)
  return items.transform((values, context): z.output<T>[] => {
    const read: z.output<T>[] = []
    for (const [index, value] of values.entries()) {
      const result = element.safeParse(value)
      if (!result.success) {
        for (const issue of result.error.issues) {
          context.issues.push({ ...issue, input: value, path: [index, ...issue.path] } as z.core.$ZodRawIssue)
        }
        return z.NEVER
      }
      read.push(result.data)
    }
    return read
  })
}

/** Most stop strings of a request: each costs time at each token. */
const maxStops = 16
const stop = z.union(
  [z.string().transform((text) => [text]), listOf(z.string(), { max: maxStops })],
  `expected a string or at most ${maxStops} strings`,
)
const tokenId = z.number().int().nonnegative()
const bias = z.number().min(-100).max(100)

const logitBias = z.record(z.string(), z.unknown()).transform((entries, context): Map<number, number> => {
  const biases = new Map<number, number>()
  for (const [key, value] of Object.entries(entries)) {
    const id = tokenId.safeParse(/^\d+$/.test(key) ? Number(key) : undefined)
    const given = bias.safeParse(value)
    if (!id.success || !given.success) {
      const message = id.success ? 'expected a number from -100 to 100' : 'expected token ids as keys'
      context.issues.push({ code: 'custom', input: value, message, path: [key] })
      return z.NEVER
    }
    biases.set(id.data, given.data)
  }
  return biases
})

export const samplingFields = {
  model: optional(z.string()),
  temperature: optional(z.number().min(0).max(100)),
  top_p: optional(z.number().gt(0).max(1)),
  top_k: optional(z.number().int().min(-1)),
  min_p: optional(z.number().min(0).max(1)),
  presence_penalty: optional(z.number().min(-2).max(2)),
  frequency_penalty: optional(z.number().min(-2).max(2)),
  repetition_penalty: optional(z.number().gt(0).max(10)),
  logit_bias: optional(logitBias),
  seed: optional(z.number().int()),
  stop: optional(stop),
  stop_token_ids: optional(listOf(tokenId, { max: 64 })),
  max_tokens: optional(z.number().int().min(1)),
  n: optional(z.number().int().min(1)),
  /** Of the `n` samples, give back the first so many to finish, and end the others then. */
  race: optional(z.number().int().min(1)),
  stream: optional(z.boolean()),
  stream_options: optional(z.object({ include_usage: optional(z.boolean()) })),
  ignore_eos: optional(z.boolean()),
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
    logitBias: fields.logit_bias ?? new Map(),
    seed: fields.seed ?? randomInt(2 ** 47),
    topLogprobs,
  }
}
