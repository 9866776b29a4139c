/** The generators by name. To add one: a file beside this one and a line in the table. */
import { RandomStream } from '../../core/random.ts'
import { byArrival } from '../transforms/derive.ts'
import type { Workload } from '../workload.ts'
import { agents } from './agents.ts'
import { bursts, daily, poisson } from './arrival-patterns.ts'
import { burstgptLike } from './burstgpt-like.ts'
import { invalid, type ParameterValue, type WorkloadGenerator } from './generator.ts'
import { prefixTree } from './prefix-tree.ts'
import { tenants } from './tenants.ts'

export const generators = {
  poisson,
  bursts,
  daily,
  burstgpt: burstgptLike,
  tenants,
  'prefix-tree': prefixTree,
  agents,
} as const satisfies Record<string, WorkloadGenerator>

export type GeneratorName = keyof typeof generators

export const generatorNames = Object.keys(generators) as readonly GeneratorName[]

/** The same requests for the same name, values and seed. @throws {ServingError} INVALID_WORKLOAD. */
export function generateWorkload(
  name: GeneratorName,
  given: Readonly<Record<string, ParameterValue>>,
  seed: number,
): Workload {
  const generator = generators[name]
  const { blockSize, requests } = generator.generate(given, new RandomStream(seed))
  const parameters = { generator: name, ...generator.values(given), seed }
  return { name, blockSize, requests: byArrival(requests), provenance: [{ action: 'generate', parameters }] }
}

export interface GeneratorCall {
  readonly name: GeneratorName
  readonly given: Readonly<Record<string, string>>
}

/**
 * `agents` or `agents:programs=50,turns=8`; undefined when it does not begin with the name of a generator.
 * @throws {ServingError} INVALID_WORKLOAD for what follows the name.
 */
export function parseGeneratorCall(text: string): GeneratorCall | undefined {
  const [head = '', ...rest] = text.split(':')
  const name = generatorNames.find((known) => known === head)
  if (name === undefined) return undefined
  const parts = rest
    .join(':')
    .split(',')
    .filter((part) => part !== '')
  const entries = parts.map((part) => {
    const at = part.indexOf('=')
    if (at < 1) throw invalid(`"${part}" is not a parameter and its value, as in requests=100.`)
    return [part.slice(0, at).trim(), part.slice(at + 1).trim()] as const
  })
  return { name, given: Object.fromEntries(entries) }
}
