/** Texts of a grammar at random, over a vocabulary that cuts them at odd places. */
import type { GrammarSpec } from '../../src/core/grammar-spec.ts'
import { uniformAt } from '../../src/core/random.ts'
import { GrammarEngine, type GrammarVocabulary } from '../../src/grammar/grammar-engine.ts'

const joined = [
  '": "',
  '",',
  '"}',
  '"]',
  '{"',
  '[{',
  '": ',
  ', "',
  'true',
  'null',
  '  ',
  '\n  ',
  '12',
  '}}',
  'e"',
  '":',
  'ü"',
  '日本',
  '😀',
  '\\"',
]

/** All bytes, some longer tokens, and one that ends a text. */
export const byteVocabulary: GrammarVocabulary = {
  pieces: [
    ...Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)),
    ...joined.map((text) => new TextEncoder().encode(text)),
    // Half of a character, and a character and a half.
    Uint8Array.of(0xe6, 0x97),
    Uint8Array.of(0xa5, 0xe6),
    new Uint8Array(0),
  ],
  endTokenIds: [256 + joined.length + 2],
}

export const byteEngine = new GrammarEngine(byteVocabulary)
const endToken = byteVocabulary.endTokenIds[0]!
const closers = new Set([...'"}],:'].map((character) => character.charCodeAt(0)))

export interface Walk {
  readonly tokens: readonly number[]
  readonly text: string
  /** It came to its end before it got too long. */
  readonly isComplete: boolean
}

/** Takes any allowed token, but likes to come to an end. */
export function randomWalk(spec: GrammarSpec, seed: number, maxTokens = 600): Walk {
  const matcher = byteEngine.matcher(spec)
  const tokens: number[] = []
  let isComplete = false
  for (let step = 0; step < maxTokens; step += 1) {
    const { allowed } = matcher.mask()
    const ids = [...allowed!]
    const likes = uniformAt(seed, 1, step) < 0.5 ? ids.filter((id) => closers.has(id) || id === endToken) : []
    const pool = likes.length > 0 ? likes : ids
    const id = pool[Math.floor(uniformAt(seed, 2, step) * pool.length)]!
    if (!matcher.accept(id)) throw new Error(`token ${id} was allowed and not accepted`)
    if (id === endToken) {
      isComplete = true
      break
    }
    tokens.push(id)
  }
  const bytes = tokens.flatMap((id) => [...byteVocabulary.pieces[id]!])
  return {
    tokens,
    text: new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(bytes)),
    isComplete,
  }
}

/** Whether all of a text is of the grammar, read byte by byte. */
export function matches(spec: GrammarSpec, text: string): boolean {
  const matcher = byteEngine.matcher(spec)
  return [...new TextEncoder().encode(text)].every((byte) => matcher.accept(byte)) && matcher.isComplete
}

/** Whether a text of the grammar can begin with this one. */
export function begins(spec: GrammarSpec, text: string): boolean {
  const matcher = byteEngine.matcher(spec)
  return [...new TextEncoder().encode(text)].every((byte) => matcher.accept(byte))
}
