import { z } from 'zod'
import type { Kind } from './setting.ts'

export interface TokenPriceValues {
  readonly prompt: number
  readonly cached: number
  readonly output: number
}

const price = z
  .union([z.number(), z.string().regex(/^ *\d/).transform(Number)])
  .pipe(z.number().min(0).max(1e6))

/** Three numbers with commas between them, or a list of three in YAML. */
export const tokenPrices: Kind<TokenPriceValues> = {
  schema: z
    .union([z.string().transform((text): unknown => text.split(',')), z.array(z.number())])
    .pipe(z.tuple([price, price, price]))
    .transform(([prompt, cached, output]) => ({ prompt, cached, output })),
  expected: 'three numbers with commas between them',
  placeholder: 'PROMPT,CACHED,OUTPUT',
}
