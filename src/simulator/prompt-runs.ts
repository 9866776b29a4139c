/**
 * Prompts without real tokens. All tokens of a block are one number that stands for the block's content id, and all
 * tokens of all answers are another: prompts then share exactly what their blocks say they share, and filling an
 * array is all that making one costs.
 */
import type { WorkloadRequest } from '../workload/workload.ts'

/** Every token of every answer. Equal prompts have equal answers, as with greedy sampling. */
export const answerToken = 0x3fff_fffb

/** So many tokens of one number. */
export interface Run {
  readonly token: number
  readonly length: number
}

export function runsOf({ blocks, numPromptTokens }: WorkloadRequest, blockSize: number): readonly Run[] {
  return blocks.map((id, index) => ({
    token: tokenOf(id),
    length: Math.min(blockSize, numPromptTokens - index * blockSize),
  }))
}

/** `made`, with what was sent and answered before in the place of its beginning. Its length stays. */
export function continueRuns(
  made: readonly Run[],
  previous: readonly Run[],
  numAnswered: number,
): readonly Run[] {
  const length = lengthOf(made)
  const history = cut([...previous, { token: answerToken, length: numAnswered }], 0, length - 1)
  return [...history, ...cut(made, lengthOf(history), length)]
}

export function tokensOf(runs: readonly Run[]): number[] {
  const tokens = Array<number>(lengthOf(runs))
  let at = 0
  for (const { token, length } of runs) {
    for (const end = at + length; at < end; at += 1) tokens[at] = token
  }
  return tokens
}

/** The tokens from `from` up to `to`. */
function cut(runs: readonly Run[], from: number, to: number): Run[] {
  const parts: Run[] = []
  let start = 0
  for (const { token, length } of runs) {
    const kept = Math.min(to, start + length) - Math.max(from, start)
    if (kept > 0) parts.push({ token, length: kept })
    start += length
  }
  return parts
}

const lengthOf = (runs: readonly Run[]): number => runs.reduce((sum, { length }) => sum + length, 0)

/** Ids beyond 32 bits are folded: hashes of blocks see 32 bits of a token. */
function tokenOf(id: number): number {
  return (id | 0) ^ Math.imul(Math.floor(id / 4_294_967_296), 0x9e3779b1)
}
