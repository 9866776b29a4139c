import { z } from 'zod'
import { optional, samplingFields } from './sampling.ts'

const tokenIds = z.array(z.number().int().nonnegative()).min(1)

export const completionRequest = z.object({
  ...samplingFields,
  prompt: z.union([z.string(), tokenIds, z.array(z.string()).min(1), z.array(tokenIds).min(1)]),
  logprobs: optional(z.number().int().min(0).max(20)),
  echo: optional(z.boolean()),
  suffix: optional(z.string()),
})

export type CompletionRequest = z.infer<typeof completionRequest>
