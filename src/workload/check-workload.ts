/** What every workload promises, checked; for tests and for whatever made one in a new way. */
import type { TurnReference, Workload, WorkloadRequest } from './workload.ts'

/** Says what is wrong with it, naming the request; undefined when nothing is. */
export function checkWorkload({ requests, blockSize }: Workload): string | undefined {
  const last = new Map<string, WorkloadRequest>()
  const turns = new Set<string>()
  let arrival = 0
  for (const [index, request] of requests.entries()) {
    const previous = request.program === undefined ? undefined : last.get(request.program)
    const problem =
      (request.arrival >= arrival ? undefined : 'comes before the one ahead of it') ??
      shapeProblem(request, blockSize) ??
      turnProblem(request, previous) ??
      (request.after === undefined || turns.has(turnKey(request.after))
        ? undefined
        : 'comes before its parent')
    if (problem !== undefined) return `Request ${index} ${problem}.`
    arrival = request.arrival
    if (request.program === undefined) continue
    last.set(request.program, request)
    turns.add(turnKey({ program: request.program, turn: request.turn }))
  }
  return undefined
}

/** For maps and sets of turns. */
export function turnKey({ program, turn }: TurnReference): string {
  return `${turn} ${program}`
}

function shapeProblem(request: WorkloadRequest, blockSize: number): string | undefined {
  const { numPromptTokens, numOutputTokens, blocks } = request
  for (const count of [numPromptTokens, numOutputTokens, blockSize]) {
    if (!Number.isSafeInteger(count) || count < 1) return `has a length of ${count}`
  }
  if (!Number.isSafeInteger(request.arrival)) return `arrives at ${request.arrival}`
  if (blocks.length !== Math.ceil(numPromptTokens / blockSize)) return `has ${blocks.length} blocks`
  return blocks.every(Number.isSafeInteger) ? undefined : 'has a block without a number'
}

function turnProblem(request: WorkloadRequest, previous: WorkloadRequest | undefined): string | undefined {
  if (request.turn !== (previous === undefined ? 0 : previous.turn + 1)) return `is turn ${request.turn}`
  if (previous === undefined) {
    return request.gap === 0 && request.includesAnswer !== true ? undefined : 'follows nothing'
  }
  if (request.arrival !== previous.arrival + request.gap) return 'does not come a gap after its turn before'
  if (request.includesAnswer !== true) return undefined
  return canIncludeAnswer(request, previous) ? undefined : 'does not include the turn before'
}

/** Whether the prompt has all of `previous`' prompt, room for its answer, and something new behind. */
export function canIncludeAnswer(
  request: Pick<WorkloadRequest, 'blocks' | 'numPromptTokens'>,
  previous: Pick<WorkloadRequest, 'blocks' | 'numPromptTokens' | 'numOutputTokens'>,
): boolean {
  return (
    request.numPromptTokens > previous.numPromptTokens + previous.numOutputTokens &&
    previous.blocks.every((id, index) => request.blocks[index] === id)
  )
}
