import type { Choice } from './answer-format.ts'

/** Which of several samples are given back. */
export interface Picking {
  /** `first`: those that finish first, and the others are cancelled; `best`: the likeliest, of all. */
  readonly by: 'first' | 'best'
  readonly count: number
}

/** In order of preference, and numbered anew. Only choices that have finished are picked. */
export function pickChoices({ by, count }: Picking, choices: readonly Choice[]): readonly Choice[] {
  return choices
    .filter(({ result }) => result !== undefined)
    .toSorted((a, b) => (by === 'first' ? a.place - b.place : meanLogprob(b) - meanLogprob(a)))
    .slice(0, count)
    .map((choice, index) => ({ ...choice, index }))
}

/** Per token, as OpenAI ranks for `best_of`. */
function meanLogprob({ details }: Choice): number {
  if (details.length === 0) return -Infinity
  return details.reduce((sum, { logprobs }) => sum + (logprobs?.logprob ?? 0), 0) / details.length
}
