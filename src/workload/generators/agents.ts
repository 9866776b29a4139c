import type { RandomStream } from '../../core/random.ts'
import { micros, type Micros } from '../../core/units.ts'
import { poissonArrivals } from '../arrivals.ts'
import { ContentIds, ContentStream } from '../content.ts'
import { exponential, logNormal } from '../distributions.ts'
import type { ContentId, WorkloadRequest } from '../workload.ts'
import { defineGenerator } from './generator.ts'
import { drawLength, positive, TenantDraw, tenantParameters } from './population.ts'

const blockSize = 64

interface Values {
  readonly turns: number
  readonly first: number
  readonly result: number
  readonly output: number
  readonly spread: number
  readonly 'max-tokens': number
  readonly 'tool-seconds': number
  readonly 'think-seconds': number
  readonly 'think-share': number
}

/**
 * Agents: a shared system prompt, then turn after turn with the whole history in front. A turn ends in a tool call,
 * whose result begins the next one after a log-normal time, or in a pause of the person, which is exponential.
 */
export const agents = defineGenerator({
  about: 'Multi-turn agents with a shared system prompt, growing histories and tool calls.',
  parameters: {
    programs: { default: 20, min: 1, integer: true, about: 'How many agents.' },
    rate: { default: 0.2, min: positive, about: 'Agents that start per second, at Poisson times.' },
    turns: { default: 6, min: 1, about: 'Mean turns of an agent (geometric).' },
    system: {
      default: 1024,
      min: 0,
      integer: true,
      about: `Tokens of the system prompt; whole blocks of ${blockSize} are shared by all agents.`,
    },
    first: { default: 256, min: 1, about: 'Mean tokens of the task.' },
    result: { default: 200, min: 1, about: 'Mean tokens that a tool or a person adds per turn.' },
    output: { default: 80, min: 1, about: 'Mean tokens of an answer.' },
    spread: { default: 0.8, min: 0, about: 'Coefficient of variation of these lengths (log-normal).' },
    'max-tokens': {
      default: 16_384,
      min: 64,
      integer: true,
      about: 'An agent ends before its history is longer.',
    },
    'tool-seconds': { default: 2, min: 0, about: 'Mean time of a tool call.' },
    'tool-cv': { default: 1.5, min: 0, about: 'Coefficient of variation of that time.' },
    'think-seconds': { default: 20, min: 0, about: 'Mean pause of a person.' },
    'think-share': { default: 0.15, min: 0, max: 1, about: 'Share of the gaps that are pauses of a person.' },
    ...tenantParameters,
  },
  generate: (values, random) => {
    const starts = poissonArrivals(values.programs, values.rate, random.split(0))
    const owners = new TenantDraw(values, random.split(2))
    const ids = new ContentIds()
    const shared = ids.take(Math.floor(values.system / blockSize))
    const toolSeconds = (own: RandomStream) => logNormal(own, values['tool-seconds'], values['tool-cv'])
    const requests = starts.flatMap((start, index) => {
      const stream = new ContentStream(ids, blockSize, shared)
      const agent = { name: `agent-${index}`, tenant: owners.next(), start, system: values.system }
      return turnsOf(values, agent, { stream, random: random.split(10 + index), toolSeconds })
    })
    return { blockSize, requests }
  },
})

function turnsOf(
  values: Values,
  agent: { readonly name: string; readonly tenant: string; readonly start: Micros; readonly system: number },
  from: {
    readonly stream: { first(numTokens: number): ContentId[] }
    readonly random: RandomStream
    readonly toolSeconds: (random: RandomStream) => number
  },
): WorkloadRequest[] {
  const { random, stream } = from
  const max = values['max-tokens']
  const draw = (mean: number) => drawLength(random, { mean, spread: values.spread, max })
  const numTurns = geometric(random, values.turns)
  const turns: WorkloadRequest[] = []
  let numTokens = Math.min(max - 1, agent.system + draw(values.first))
  let arrival = agent.start
  for (let turn = 0; turn < numTurns; turn += 1) {
    const numOutputTokens = Math.min(draw(values.output), max - numTokens)
    const isThinking = random.next() < values['think-share']
    const seconds = isThinking ? exponential(random) * values['think-seconds'] : from.toolSeconds(random)
    const gap = turn === 0 ? micros(0) : micros(seconds * 1_000_000)
    arrival = micros(arrival + gap)
    turns.push({
      arrival,
      tenant: agent.tenant,
      program: agent.name,
      turn,
      gap,
      gapKind: turn === 0 ? undefined : isThinking ? 'think' : 'tool',
      numPromptTokens: numTokens,
      numOutputTokens,
      blocks: stream.first(numTokens),
      ...(turn === 0 ? {} : { includesAnswer: true }),
      serviceClass: 'default',
    })
    numTokens += numOutputTokens + draw(values.result)
    if (numTokens >= max) break
  }
  return turns
}

/** At least 1, with this mean. */
function geometric(random: RandomStream, mean: number): number {
  return mean === 1 ? 1 : 1 + Math.floor(exponential(random) / -Math.log(1 - 1 / mean))
}
