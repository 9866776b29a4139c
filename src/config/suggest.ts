/** The name that somebody probably meant, or undefined when nothing is near. Dashes, dots and case do not count. */
export function suggest(name: string, known: Iterable<string>): string | undefined {
  const wanted = simplify(name)
  let best: string | undefined
  let bestDistance = Math.max(2, Math.floor(wanted.length / 3)) + 1
  for (const candidate of known) {
    const distance = editDistance(wanted, simplify(candidate))
    if (distance < bestDistance && distance < candidate.length) [best, bestDistance] = [candidate, distance]
  }
  return best
}

/** ` Did you mean ...?`, or nothing: the tail of a message about an unknown name. */
export function didYouMean(name: string, known: Iterable<string>, prefix = ''): string {
  const found = suggest(name, known)
  return found === undefined ? '' : ` Did you mean ${prefix}${found}?`
}

function simplify(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]/g, '')
}

/** Levenshtein's distance, one row at a time. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (const [i, letter] of [...from].entries()) {
    const next = [i + 1]
    for (let j = 0; j < to.length; j += 1) {
      const replaced = row[j]! + (letter === to[j] ? 0 : 1)
      next.push(Math.min(replaced, row[j + 1]! + 1, next[j]! + 1))
    }
    row = next
  }
  return row[to.length]!
}
