/** What the fairness benchmarks ask of servers: made-up requests with fixed seeds. */
import { RandomStream } from '../../src/core/random.ts'
import { micros } from '../../src/core/units.ts'
import { ContentIds, ContentStream } from '../../src/workload/content.ts'
import { exponential, logNormal } from '../../src/workload/distributions.ts'
import { byArrival } from '../../src/workload/transforms/derive.ts'
import type { ServiceClass, Workload, WorkloadRequest } from '../../src/workload/workload.ts'

const blockSize = 32
const second = 1_000_000

interface Single {
  readonly at: number
  readonly tenant: string
  readonly program?: string
  readonly serviceClass?: ServiceClass
  readonly numPrompt: number
  readonly numOutput: number
}

function single(ids: ContentIds, request: Single): WorkloadRequest {
  const { at, tenant, program, serviceClass = 'default', numPrompt, numOutput } = request
  return {
    arrival: micros(at * second),
    tenant,
    program,
    turn: 0,
    gap: micros(0),
    gapKind: undefined,
    numPromptTokens: numPrompt,
    numOutputTokens: numOutput,
    blocks: ids.take(Math.ceil(numPrompt / blockSize)),
    serviceClass,
  }
}

function workload(name: string, requests: readonly WorkloadRequest[]): Workload {
  return { name, blockSize, requests: byArrival(requests), provenance: [] }
}

export interface FloodLoad {
  readonly seconds: number
  /** Requests of the tenant that floods; none without. */
  readonly count?: number
  /** Each of them in a session of its own. */
  readonly sessions?: boolean
}

/** One tenant sends many requests at once; another one sends one every 2 s. */
export function flood({ seconds, count = 0, sessions = false }: FloodLoad): Workload {
  const random = new RandomStream(3)
  const ids = new ContentIds()
  const visitor = Array.from({ length: Math.floor(seconds / 2) }, (_, index) =>
    single(ids, { at: 1 + 2 * index, tenant: 'visitor', numPrompt: 300, numOutput: 40 }),
  )
  const many = Array.from({ length: count }, (_, index) =>
    single(ids, {
      at: 0,
      tenant: 'flood',
      ...(sessions ? { program: `session-${index}` } : {}),
      numPrompt: 60 + random.below(100),
      numOutput: 60 + random.below(80),
    }),
  )
  return workload('flood', [...many, ...visitor])
}

export interface AgentLoad {
  readonly programs: number
  /** Programs that begin per second. */
  readonly rate: number
  readonly turns: number
  readonly system: number
  readonly first: number
  readonly result: number
  readonly output: number
  readonly toolSeconds: number
  /** Times the program's work at its own pace; undefined: no deadlines. */
  readonly deadlineSeconds?: number
  readonly seed?: number
}

/** Programs of several turns with tool calls between them, each with the whole history in its prompt. */
export function agents(load: AgentLoad): Workload {
  const ids = new ContentIds()
  const shared = ids.take(Math.floor(load.system / blockSize))
  const all = new RandomStream(load.seed ?? 5)
  let start = 0
  const requests = Array.from({ length: load.programs }, (_, index) => {
    const random = all.split(index)
    start += exponential(random) / load.rate
    return turnsOf(load, {
      name: `agent-${index}`,
      start,
      random,
      stream: new ContentStream(ids, blockSize, shared),
    })
  })
  return workload('agents', requests.flat())
}

function turnsOf(
  load: AgentLoad,
  agent: {
    readonly name: string
    readonly start: number
    readonly random: RandomStream
    readonly stream: ContentStream
  },
): WorkloadRequest[] {
  const { random, stream } = agent
  const draw = (mean: number): number => Math.max(4, Math.round(logNormal(random, mean, 0.5)))
  const numTurns = Math.max(2, Math.round(load.turns * (0.5 + random.next())))
  const budget = load.deadlineSeconds === undefined ? undefined : load.deadlineSeconds * (0.5 + random.next())
  const turns: WorkloadRequest[] = []
  let numTokens = load.system + draw(load.first)
  let arrival = micros(Math.round(agent.start * second))
  for (let turn = 0; turn < numTurns; turn += 1) {
    const gap = micros(turn === 0 ? 0 : Math.round(logNormal(random, load.toolSeconds, 1) * second))
    arrival = micros(arrival + gap)
    const numOutputTokens = draw(load.output)
    turns.push({
      arrival,
      tenant: 'agents',
      program: agent.name,
      turn,
      gap,
      gapKind: turn === 0 ? undefined : 'tool',
      numPromptTokens: numTokens,
      numOutputTokens,
      blocks: stream.first(numTokens),
      ...(turn === 0 ? {} : { includesAnswer: true }),
      serviceClass: 'default',
      ...(budget === undefined ? {} : { deadline: { after: micros(budget * numTurns * second), numTurns } }),
    })
    numTokens += numOutputTokens + draw(load.result)
  }
  return turns
}

/**
 * Chats that are waited for, long prompts that can wait, and batch jobs, a third of the work each; `rate` is of chats.
 */
export function mixed({ rate, seconds }: { readonly rate: number; readonly seconds: number }): Workload {
  const ids = new ContentIds()
  const all = new RandomStream(7)
  const kinds = [
    { serviceClass: 'priority', tenant: 'chats', share: 1, numPrompt: 120, numOutput: 60 },
    { serviceClass: 'flex', tenant: 'readers', share: 0.18, numPrompt: 1200, numOutput: 60 },
    { serviceClass: 'batch', tenant: 'jobs', share: 0.35, numPrompt: 250, numOutput: 200 },
  ] as const
  const requests = kinds.flatMap(({ share, numPrompt, numOutput, ...who }, kind) => {
    const random = all.split(kind)
    const arrivals: WorkloadRequest[] = []
    for (let at = 0; ;) {
      at += exponential(random) / (rate * share)
      if (at >= seconds) return arrivals
      const draw = (mean: number): number =>
        Math.max(4, Math.min(4 * mean, Math.round(logNormal(random, mean, 0.6))))
      arrivals.push(single(ids, { at, ...who, numPrompt: draw(numPrompt), numOutput: draw(numOutput) }))
    }
  })
  return workload('mixed', requests)
}
