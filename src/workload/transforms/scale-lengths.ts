import { invariant } from '../../core/errors.ts'
import type { ContentId, Workload } from '../workload.ts'
import { derive, settleAnswers } from './derive.ts'

/**
 * Prompts and answers made longer or shorter together. Blocks change their size, and their ids stay: whatever share
 * of a prompt was shared still is. So the factor that is really used is one that makes blocks a whole number of
 * tokens; it stands in `provenance`. Blocks that would be shorter than a token are joined first, several to one.
 */
export function scaleLengths(workload: Workload, factor: number, outputFactor?: number): Workload {
  invariant(factor > 0 && (outputFactor ?? 1) > 0, `lengths scaled by ${factor} and ${outputFactor}`)
  const numJoined = blocksToJoin(workload.blockSize, factor)
  const coarse = numJoined === 1 ? workload : joinBlocks(workload, numJoined)
  const blockSize = scaledBlock(coarse.blockSize, factor)
  const used = blockSize / coarse.blockSize
  const requests = coarse.requests.map((request) => ({
    ...request,
    numPromptTokens: scaledPrompt(request.numPromptTokens, coarse.blockSize, blockSize),
    numOutputTokens: Math.max(1, Math.round(request.numOutputTokens * (outputFactor ?? used))),
  }))
  const parameters = {
    asked: factor,
    factor: used,
    outputFactor: outputFactor ?? used,
    blocksJoined: numJoined,
  }
  return { ...derive(workload, 'scale-lengths', parameters, settleAnswers(requests)), blockSize }
}

/** The factor that brings the longest request, prompt and answer together, to at most `maxTokens`; at most 1. */
export function factorToFit({ requests }: Workload, maxTokens: number): number {
  let longest = 1
  for (const { numPromptTokens, numOutputTokens } of requests) {
    longest = Math.max(longest, numPromptTokens + numOutputTokens)
  }
  return Math.min(1, maxTokens / longest)
}

/** The fewest blocks that come within a tenth of the factor when joined; one while it leaves them a token. */
function blocksToJoin(blockSize: number, factor: number): number {
  if (blockSize * factor >= 1) return 1
  let count = Math.ceil(0.9 / (blockSize * factor))
  const error = () => Math.abs(scaledBlock(blockSize * count, factor) / (blockSize * count * factor) - 1)
  while (error() > 0.1) count += 1
  return count
}

function scaledBlock(blockSize: number, factor: number): number {
  return Math.max(1, Math.round(blockSize * factor))
}

/** Whole blocks become whole blocks; the rest of a prompt keeps its share of a block, and at least one token. */
function scaledPrompt(numTokens: number, from: number, to: number): number {
  const rest = numTokens % from
  const whole = ((numTokens - rest) / from) * to
  return rest === 0 ? whole : whole + Math.max(1, Math.round((rest / from) * to))
}

/**
 * Each `count` blocks as one, named by what is in it: prompts that part inside of it share nothing of it. A prompt
 * that ends inside of one has the name of one that goes on.
 */
function joinBlocks(workload: Workload, count: number): Workload {
  const names = new BlockNames()
  const groupsOf = (blocks: readonly ContentId[]) =>
    Array.from({ length: Math.ceil(blocks.length / count) }, (_, index) =>
      blocks.slice(index * count, (index + 1) * count),
    )
  for (const { blocks } of workload.requests) {
    for (const group of groupsOf(blocks)) if (group.length === count) names.get(group)
  }
  const requests = workload.requests.map((request) => ({
    ...request,
    blocks: groupsOf(request.blocks).map((group) => names.get(group)),
  }))
  return { ...workload, blockSize: workload.blockSize * count, requests }
}

/** Numbers for lists of ids; a list that begins another one which was named before has its number. */
class BlockNames {
  readonly #names = new Map<string, ContentId>()
  #numNames = 0

  get(ids: readonly ContentId[]): ContentId {
    const known = this.#names.get(ids.join(' '))
    if (known !== undefined) return known
    const name = this.#numNames++
    let key = ''
    for (const [index, id] of ids.entries()) {
      key += index === 0 ? id : ` ${id}`
      if (index === ids.length - 1 || !this.#names.has(key)) this.#names.set(key, name)
    }
    return name
  }
}
