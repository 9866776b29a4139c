import { z } from 'zod'
import { cacheFields } from './cache.ts'
import { listOf, optional, samplingFields } from './sampling.ts'
import { structureFields } from './structure.ts'
import { termFields } from './terms.ts'

const tokenIds = listOf(z.number().int().nonnegative(), { min: 1 })

export const completionRequest = z.object({
  ...samplingFields,
  ...cacheFields,
  ...termFields,
  ...structureFields,
  prompt: z.union(
    [z.string(), tokenIds, listOf(z.string(), { min: 1 }), listOf(tokenIds, { min: 1 })],
    'expected a string, token ids, or a list of either',
  ),
  logprobs: optional(z.number().int().min(0).max(20)),
  best_of: optional(z.number().int().min(1)),
  /** vLLM's: each choice also has the ids of its tokens. */
  return_token_ids: optional(z.boolean()),
  echo: optional(z.boolean()),
  suffix: optional(z.string()),
})

export type CompletionRequest = z.infer<typeof completionRequest>
