import { z } from 'zod'
import { optional } from './sampling.ts'

export const batchEndpoints = [
  '/v1/chat/completions',
  '/v1/completions',
  '/v1/responses',
  '/v1/embeddings',
] as const

/** OpenAI has 24h alone. */
const completionWindow = z.string().regex(/^[1-9]\d{0,5}[smhd]$/, 'expected a time as 24h or 30m')

const metadata = z
  .record(z.string().max(64), z.string().max(512))
  .refine((entries) => Object.keys(entries).length <= 16, 'expected at most 16 entries')

/** Of a file; OpenAI's bounds. */
export const expiresAfter = z.object({
  anchor: z.literal('created_at'),
  seconds: z.coerce.number().int().min(3600).max(2_592_000),
})

export const batchRequest = z.object({
  input_file_id: z.string(),
  endpoint: z.enum(batchEndpoints),
  completion_window: completionWindow,
  metadata: optional(metadata),
  output_expires_after: optional(expiresAfter),
})

const pageFields = (most: number, usual: number) => ({
  after: optional(z.string()),
  limit: z.coerce.number().int().min(1).max(most).default(usual),
})

export const batchListQuery = z.object(pageFields(100, 20))

export const filePurposes = ['batch', 'user_data', 'assistants', 'evals', 'fine-tune', 'vision'] as const

export const fileListQuery = z.object({
  ...pageFields(10_000, 10_000),
  order: z.enum(['asc', 'desc']).default('desc'),
  purpose: optional(z.string()),
})

const unitSeconds = { s: 1, m: 60, h: 3600, d: 86_400 } as const

export function windowSeconds(window: string): number {
  return Number.parseInt(window, 10) * unitSeconds[window.at(-1) as keyof typeof unitSeconds]
}
