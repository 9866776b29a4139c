/** The file of `--api-keys`: who may come in, hashed. */
import { z } from 'zod'
import { ServingError } from '../core/errors.ts'
import type { ApiKey } from '../core/tenant.ts'
import { parseYaml } from './config-file.ts'

const count = z.number().int().min(1)

const limits = z.strictObject({
  'requests-per-minute': count.optional(),
  'tokens-per-minute': count.optional(),
  'max-requests': count.optional(),
  'max-tokens': count.optional(),
})

const key = z.strictObject({
  name: z.string().min(1).max(512),
  sha256: z.string().regex(/^[0-9a-f]{64}$/i, 'expected 64 hexadecimal digits: printf %s KEY | sha256sum'),
  weight: z.number().gt(0).max(1e6).default(1),
  classes: z.array(z.string()).default([]),
  limits: limits.default({}),
})

const file = z.strictObject({ keys: z.array(key) })

/**
 * The keys of a file such as
 *
 *   keys:
 *     - name: ada
 *       sha256: 2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b
 *       weight: 2
 *       classes: [default, flex]
 *       limits: { requests-per-minute: 60, tokens-per-minute: 100000, max-requests: 8, max-tokens: 32000 }
 *
 * @throws {ServingError} INVALID_CONFIG naming the entry at fault.
 */
export function readApiKeys(path: string): readonly ApiKey[] {
  const result = file.safeParse(parseYaml(path))
  if (!result.success) {
    const [issue] = result.error.issues
    throw new ServingError('INVALID_CONFIG', `${path}: ${issue?.path.join('.')}: ${issue?.message}`)
  }
  return result.data.keys.map(({ name, sha256, weight, classes, limits: given }) => ({
    name,
    sha256: sha256.toLowerCase(),
    weight,
    classes,
    limits: {
      requestsPerMinute: given['requests-per-minute'],
      tokensPerMinute: given['tokens-per-minute'],
      maxRequests: given['max-requests'],
      maxTokens: given['max-tokens'],
    },
  }))
}
