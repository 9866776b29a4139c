/**
 * Prompts for requests of which only the shape is known. A block's tokens are a function of the seed and its content
 * id, so prompts share exactly the tokens that their blocks say they share, whoever makes them and in which order.
 */
import { invariant } from '../core/errors.ts'
import type { ContentId, Workload, WorkloadRequest } from './workload.ts'

/** Token ids to draw from: `count` of them from `first` on. Leave out special tokens. */
export interface TokenRange {
  readonly first: number
  readonly count: number
}

export interface PromptSource {
  readonly seed: number
  readonly range: TokenRange
  readonly blockSize: number
}

/** `request.numPromptTokens` tokens. */
export function synthesizePrompt(source: PromptSource, request: WorkloadRequest): number[] {
  const { numPromptTokens, blocks } = request
  invariant(blocks.length === Math.ceil(numPromptTokens / source.blockSize), 'a prompt with blocks missing')
  const tokens: number[] = []
  for (const id of blocks) {
    appendBlock(tokens, source, id, Math.min(source.blockSize, numPromptTokens - tokens.length))
  }
  return tokens
}

/**
 * The prompt of a turn that `includesAnswer`, with the answer that the server really gave: what was sent and what
 * came back, then the synthesised tokens behind them. As long as the synthesised prompt is.
 */
export function continuePrompt(
  synthesized: readonly number[],
  previousPrompt: readonly number[],
  answer: readonly number[],
): number[] {
  const history = [...previousPrompt, ...answer].slice(0, synthesized.length - 1)
  return [...history, ...synthesized.slice(history.length)]
}

/** All prompts of a workload, made when they are asked for. */
export function* synthesizePrompts(
  workload: Workload,
  options: Pick<PromptSource, 'seed' | 'range'>,
): Generator<number[]> {
  const source = { ...options, blockSize: workload.blockSize }
  for (const request of workload.requests) yield synthesizePrompt(source, request)
}

/** Two hash words of the id and a counter, mixed by the finaliser of MurmurHash3: 64 bits tell blocks apart. */
function appendBlock(tokens: number[], { seed, range }: PromptSource, id: ContentId, length: number): void {
  const low = id | 0
  const high = Math.floor(id / 4_294_967_296) | 0
  const one = mix(mix(mix(seed | 0) ^ low) ^ high)
  const other = mix(mix(mix(~seed) ^ high) ^ low)
  for (let index = 0; index < length; index += 1) {
    const word = mix(mix(one + Math.imul(index, 0x9e3779b9)) ^ (other + index))
    tokens.push(range.first + Math.floor(((word >>> 0) / 4_294_967_296) * range.count))
  }
}

function mix(value: number): number {
  let hash = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}
