import type { TokenList } from '../core/token-list.ts'
import { wordsPerKey, type BlockHasher } from '../kvcache/prefix-hasher.ts'
import { RunTokens } from './run-tokens.ts'

/**
 * Keys of blocks of simulated tokens, of which most blocks hold one or two kinds: what is hashed is each run of equal
 * tokens, not each token. 128 bits that mix well, but keep nobody from making two alike: who simulates has no reason.
 */
export const runHasher: BlockHasher = {
  hashNamespace(namespace, keys, at) {
    keys.fill(0, at, at + wordsPerKey)
    for (let index = 0; index < namespace.length; index += 1) absorb(keys, at, namespace.charCodeAt(index), 1)
  },
  hashBlock(keys, before, at, { tokens, start, length }) {
    if (before !== at) keys.copyWithin(at, before, before + wordsPerKey)
    const end = start + length
    if (tokens instanceof RunTokens) hashRuns(keys, at, tokens, { start, end })
    else hashEach(keys, at, tokens, { start, end })
  },
}

interface Range {
  readonly start: number
  readonly end: number
}

function hashRuns(keys: Int32Array, at: number, tokens: RunTokens, { start, end }: Range): void {
  let run = tokens.runAt(start)
  for (let index = start; index < end;) {
    const behind = Math.min(end, tokens.endOf(run))
    absorb(keys, at, tokens.tokenOf(run)!, behind - index)
    index = behind
    run += 1
  }
}

function hashEach(keys: Int32Array, at: number, tokens: TokenList, { start, end }: Range): void {
  for (let index = start; index < end;) {
    const token = tokens.at(index)!
    let behind = index + 1
    while (behind < end && tokens.at(behind) === token) behind += 1
    absorb(keys, at, token, behind - index)
    index = behind
  }
}

/** Four lanes with multipliers of their own, each fed with its neighbour (the finaliser is MurmurHash3's). */
function absorb(keys: Int32Array, at: number, token: number, length: number): void {
  const word = Math.imul(token, 0x9e3779b1) ^ Math.imul(length, 0x85ebca77)
  const a = mix(keys[at]! ^ word, 0x2545f491)
  const b = mix((keys[at + 1]! + token) ^ a, 0x6c078965)
  const c = mix((keys[at + 2]! ^ length) + b, 0x27d4eb2f)
  const d = mix((keys[at + 3]! + word) ^ c, 0x165667b1)
  keys[at] = (a + d) | 0
  keys[at + 1] = b
  keys[at + 2] = c
  keys[at + 3] = d
}

function mix(value: number, multiplier: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85ebca6b) + multiplier
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return mixed ^ (mixed >>> 16)
}
