import * as fc from 'fast-check'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { createFramer } from '../../src/workload/readers/framing.ts'
import { traceFormats, type TraceFormatName } from '../../src/workload/readers/index.ts'
import type { ReaderOptions } from '../../src/workload/readers/trace-format.ts'
import { generateWorkload, generatorNames } from '../../src/workload/generators/index.ts'
import { TraceCollector } from '../../src/workload/trace-collector.ts'
import type { Slice } from '../../src/workload/transforms/slice.ts'
import type { Workload } from '../../src/workload/workload.ts'

export const fixturePath = (name: string): string =>
  fileURLToPath(new URL(`../fixtures/traces/${name}`, import.meta.url))

export const fixture = (name: string): string => readFileSync(fixturePath(name), 'utf8')

/** Reads the text of a trace, without files. */
export function readText(
  format: TraceFormatName,
  text: string,
  options: Partial<ReaderOptions> & { readonly slice?: Slice } = {},
): { readonly workload: Workload; readonly collector: TraceCollector } {
  const { slice = {}, ...rest } = options
  const definition = traceFormats[format]
  const reader = definition.open({
    seed: 0,
    sessionsPerSecond: 1,
    thinkSeconds: 0,
    countTokens: (words) => Math.ceil(words.length / 4),
    fromSeconds: slice.fromSeconds ?? 0,
    toSeconds: slice.toSeconds,
    ...rest,
  })
  const collector = new TraceCollector(definition, reader, slice)
  const framer = createFramer(definition.framing)
  for (const record of [...framer.push(text), ...framer.end()]) collector.read(record.line, record.text)
  return { workload: collector.finish('test', {}), collector }
}

/** Small workloads of every generator, with turns and shared beginnings in many of them. */
export const anyWorkload: fc.Arbitrary<Workload> = fc
  .record({
    name: fc.constantFrom(...generatorNames),
    seed: fc.nat(1000),
    count: fc.integer({ min: 1, max: 25 }),
    tenants: fc.integer({ min: 1, max: 4 }),
  })
  .map(({ name, seed, count, tenants }) => {
    if (name === 'agents') {
      return generateWorkload(name, { programs: Math.ceil(count / 4), rate: 0.5, system: 200, tenants }, seed)
    }
    const given = name === 'burstgpt' ? { requests: count } : { requests: count, tenants, spread: 0.7 }
    return generateWorkload(name, given, seed)
  })
