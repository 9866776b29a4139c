import { z } from 'zod'
import type { CacheTerms } from '../../core/request.ts'
import { optional } from './sampling.ts'

/** vLLM's `cache_salt`; OpenAI's `prompt_cache_key` and `prompt_cache_retention`. */
export const cacheFields = {
  cache_salt: optional(z.string().min(1).max(512)),
  prompt_cache_key: optional(z.string().max(512)),
  prompt_cache_retention: optional(z.enum(['in_memory', 'in-memory', '24h'])),
} as const

const cacheSchema = z.object(cacheFields)
type CacheFields = z.infer<typeof cacheSchema>

/** Who names a key means to come back; who asks for a day means to come back late. */
const keyRetention = 2
const longRetention = 4

export function cacheTerms(fields: CacheFields): CacheTerms {
  const byKey = fields.prompt_cache_key === undefined ? 1 : keyRetention
  const byTime = fields.prompt_cache_retention === '24h' ? longRetention : 1
  return { cacheSalt: fields.cache_salt, cacheRetention: Math.max(byKey, byTime) }
}
