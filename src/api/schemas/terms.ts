import { z } from 'zod'
import { optional } from './sampling.ts'

const name = z.string().max(512)

/** OpenAI's metadata has text values only: numbers may come as either. */
const numeric = z.union(
  [
    z.number(),
    z
      .string()
      .regex(/^\d+(\.\d+)?$/)
      .transform(Number),
  ],
  'expected a number',
)

const metadata = z.looseObject({
  program_id: optional(name),
  /** Milliseconds from the program's first request in which all of it should be done. */
  deadline_ms: optional(numeric.pipe(z.number().gt(0).max(1e12))),
  /** Milliseconds to the first token: a request that would have to wait longer wants to know at once. */
  ttft_ms: optional(numeric.pipe(z.number().gt(0).max(1e12))),
  /** Requests that the whole program will make. */
  num_stages: optional(numeric.pipe(z.number().int().min(1).max(1e6))),
})

/** The fields that say who asks, and how urgent it is. */
export const termFields = {
  user: optional(name),
  safety_identifier: optional(name),
  service_tier: optional(z.string()),
  /** vLLM's: lower is sooner. */
  priority: optional(z.number().int().min(-1e9).max(1e9)),
  metadata: optional(metadata),
} as const

const termSchema = z.object(termFields)
export type TermFields = Partial<z.infer<typeof termSchema>>
