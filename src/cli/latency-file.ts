/** What `switchyard calibrate` writes and `simulate` reads: how long steps take on one machine with one model. */
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { reasonOf, ServingError } from '../core/errors.ts'
import { numPlainTerms } from '../simulator/latency/measured.ts'

const count = z.number().int().min(0)
const duration = z.number().min(0)
const share = z.number()

const schema = z.object({
  format: z.literal('switchyard-latency/2'),
  createdAt: z.string(),
  version: z.string(),
  machine: z.object({ cpu: z.string(), numCores: count, platform: z.string() }),
  /** What was calibrated; defaults of a simulation. */
  engine: z.object({
    model: z.string(),
    device: z.string(),
    numThreads: count,
    numBlocks: count.min(1),
    blockSize: count.min(1),
    maxModelLen: count.min(1),
  }),
  step: z
    .object({
      rowKnots: z.array(count).readonly(),
      sampleKnots: z.array(count).readonly(),
      coefficients: z.array(duration).readonly(),
    })
    .refine(
      ({ rowKnots, sampleKnots, coefficients }) =>
        coefficients.length === numPlainTerms + rowKnots.length + sampleKnots.length,
    ),
  request: z.object({ micros: duration, microsPerToken: duration }),
  answerMicros: duration,
  /** Steps that took several times as long as their like, which no fit is made of. */
  disturbed: z.object({ steps: share, time: share }),
  error: z.object({
    numFitted: count,
    numHeldOut: count,
    bias: share,
    mean: share,
    p50: share,
    p90: share,
    noise: share,
  }),
})

export type LatencyFile = z.infer<typeof schema>

/** @throws {ServingError} INVALID_CONFIG, naming the first thing that is wrong. */
export function readLatencyFile(path: string): LatencyFile {
  const refuse = (why: string): never => {
    throw new ServingError('INVALID_CONFIG', `--latency ${path}: ${why}`)
  }
  let content: unknown
  try {
    content = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    return refuse(error instanceof SyntaxError ? 'is no JSON' : `cannot be read (${reasonOf(error)})`)
  }
  const parsed = schema.safeParse(content)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  return refuse(`is no file of switchyard calibrate (${issue?.path.join('.')}: ${issue?.message})`)
}
