/** Conversations of a trace of coding agents, small enough for a small machine, and how much KV they are. */
import { join } from 'node:path'
import { prepareWorkload } from '../src/bench/prepare-workload.ts'
import { derive } from '../src/workload/transforms/derive.ts'
import { capGaps, fitToModel, scaleGaps, scaleLengths } from '../src/workload/transforms/index.ts'
import type { Workload, WorkloadRequest } from '../src/workload/workload.ts'

export interface ConversationOptions {
  /** Folder of traces. */
  readonly traces: string
  readonly numSessions: number
  readonly mostTurns: number
  readonly lengthFactor: number
  readonly answerFactor: number
  readonly gapFactor: number
  readonly mostGapSeconds: number
  readonly sessionsPerSecond: number
  readonly maxModelLen: number
  readonly seed: number
}

/** The first turns of the first sessions that come back at all; without sub-agents, who do not. */
export async function readConversations(options: ConversationOptions): Promise<Workload> {
  const { lengthFactor, answerFactor, gapFactor, mostGapSeconds, maxModelLen } = options
  const { workload } = await prepareWorkload({
    source: join(options.traces, 'weka-agentic-coding/traces.half.jsonl.gz'),
    seed: options.seed,
    slice: { maxPrograms: 2 * options.numSessions },
    sessionsPerSecond: options.sessionsPerSecond,
    format: undefined,
    maxGapSeconds: undefined,
    scaleLengths: undefined,
    scaleToTokens: undefined,
    maxTokens: undefined,
    scaleRate: undefined,
    rate: undefined,
    spread: false,
  })
  const scaled = scaleLengths(firstTurns(workload, options.mostTurns), lengthFactor, answerFactor)
  const paced = capGaps(scaleGaps(scaled, gapFactor), mostGapSeconds)
  return sessionsOf(fitToModel(paced, maxModelLen, 'drop'), options.numSessions)
}

function firstTurns(workload: Workload, mostTurns: number): Workload {
  const kept = workload.requests.filter(({ turn, program }) => turn < mostTurns && !program!.includes('/'))
  return derive(workload, 'first-turns', { mostTurns }, kept)
}

/** Of the programs of two turns and more, the first ones. */
function sessionsOf(workload: Workload, count: number): Workload {
  const returning = new Set(workload.requests.filter(({ turn }) => turn > 0).map(({ program }) => program))
  const chosen = new Set([...returning].slice(0, count))
  const kept = workload.requests.filter(({ program }) => chosen.has(program))
  return derive(workload, 'sessions', { count }, kept)
}

/**
 * The most tokens that sessions hold at one time, were every answer instant: from a session's first turn to its last,
 * each counts its longest history so far.
 */
export function mostLiveTokens({ requests }: Workload): number {
  const last = new Map(requests.map((request) => [request.program, request]))
  const held = new Map<string | undefined, number>()
  let most = 0
  for (const request of requests) {
    const { program, numPromptTokens, numOutputTokens } = request
    held.set(program, Math.max(held.get(program) ?? 0, numPromptTokens + numOutputTokens))
    most = Math.max(most, liveAt(request, held, last))
  }
  return most
}

function liveAt(
  { arrival }: WorkloadRequest,
  held: ReadonlyMap<string | undefined, number>,
  last: ReadonlyMap<string | undefined, WorkloadRequest>,
): number {
  let sum = 0
  for (const [program, numTokens] of held) if (last.get(program)!.arrival >= arrival) sum += numTokens
  return sum
}
