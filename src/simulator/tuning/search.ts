/**
 * Looks for settings by coordinate descent: one setting after the other is tried at each of its values while the
 * others stay, the best is kept, and so on round by round until nothing changes. Knows nothing of settings or
 * engines; what is tried once is not tried again. Simple on purpose: every step of the way can be said in a line.
 */

/** Texts by setting; one that is absent has its default. */
export type Candidate = Readonly<Record<string, string>>

export interface Knob {
  readonly name: string
  /** In the order in which they are tried; undefined is the default. */
  readonly values: readonly (string | undefined)[]
}

export interface Tried {
  readonly candidate: Candidate
  /** More is better; -Infinity for what is not acceptable. */
  readonly score: number
}

export interface SearchResult {
  readonly best: Tried
  /** Where it began. */
  readonly start: Tried
  /** Everything that was tried, best first. */
  readonly tried: readonly Tried[]
}

export interface SearchOptions {
  readonly knobs: readonly Knob[]
  readonly start: Candidate
  readonly scoreOf: (candidate: Candidate) => number
  /** By which share of a score a change must be better to be made: less is chance. */
  readonly leastGain: number
  readonly mostRounds?: number
}

export function searchSettings({
  knobs,
  start,
  scoreOf,
  leastGain,
  mostRounds = 3,
}: SearchOptions): SearchResult {
  const scores = new Map<string, Tried>()
  const tryOut = (candidate: Candidate): Tried => {
    const key = keyOf(candidate)
    const known = scores.get(key) ?? { candidate, score: scoreOf(candidate) }
    scores.set(key, known)
    return known
  }
  const first = tryOut(start)
  let best = first
  for (let round = 0; round < mostRounds; round += 1) {
    const before = best
    for (const { name, values } of knobs) {
      let better = best
      for (const value of values) {
        const other = tryOut(withSetting(best.candidate, name, value))
        if (other.score > better.score) better = other
      }
      if (isClearlyBetter(better.score, best.score, leastGain)) best = better
    }
    if (best === before) break
  }
  best = withoutIdleChanges(best, start, { tryOut, leastGain })
  return { best, start: first, tried: [...scores.values()].toSorted((a, b) => b.score - a.score) }
}

/** Takes back, one by one, what has come to make no difference. */
function withoutIdleChanges(
  found: Tried,
  start: Candidate,
  { tryOut, leastGain }: { readonly tryOut: (candidate: Candidate) => Tried; readonly leastGain: number },
): Tried {
  let best = found
  for (const name of changesOf(start, found.candidate)) {
    const without = tryOut(withSetting(best.candidate, name, start[name]))
    if (!isClearlyBetter(best.score, without.score, leastGain)) best = without
  }
  return best
}

/** Settings in which two differ. */
export function changesOf(one: Candidate, other: Candidate): string[] {
  const names = new Set([...Object.keys(one), ...Object.keys(other)])
  return [...names].filter((name) => one[name] !== other[name])
}

export function withSetting(candidate: Candidate, name: string, value: string | undefined): Candidate {
  const { [name]: _before, ...others } = candidate
  return value === undefined ? others : { ...others, [name]: value }
}

/** Scores may be negative, as latencies are. */
function isClearlyBetter(score: number, than: number, leastGain: number): boolean {
  if (than === -Infinity) return score > than
  return score - than > leastGain * Math.abs(than)
}

function keyOf(candidate: Candidate): string {
  return JSON.stringify(Object.entries(candidate).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}
