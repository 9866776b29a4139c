/** Service classes as somebody writes them: a map of names, in the YAML file or as YAML in a flag. */
import { parse } from 'yaml'
import { z } from 'zod'
import { serviceClass, type ServiceClass } from '../core/service-class.ts'
import type { Kind } from './setting.ts'

const fields = z.strictObject({
  'ttft-ms': z.number().gt(0).max(1e9),
  'tbt-ms': z.number().gt(0).max(1e9).optional(),
  weight: z.number().gt(0).max(1e6).default(1),
  yields: z.boolean().default(false),
})

const map = z
  .record(z.string().regex(/^[\w.-]{1,64}$/), fields)
  .refine((classes) => Object.keys(classes).length > 0 && Object.keys(classes).length <= 16)
  .transform((classes) =>
    Object.entries(classes).map(([name, { 'ttft-ms': ttftMs, 'tbt-ms': tbtMs, weight, yields }]) =>
      serviceClass(name, { ttftMs, tbtMs, weight, yields }),
    ),
  )

const text = z.string().transform((value, context): unknown => {
  try {
    return parse(value)
  } catch {
    context.issues.push({ code: 'custom', input: value, message: 'not YAML' })
    return z.NEVER
  }
})

export const serviceClasses: Kind<readonly ServiceClass[]> = {
  schema: z.union([text.pipe(map), map]),
  expected: 'a map of 1 to 16 classes with ttft-ms, and perhaps tbt-ms, weight, yields',
  placeholder: 'YAML',
}
