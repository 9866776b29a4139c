/**
 * Least squares with no coefficient below 0, by the active-set method on the normal equations (Lawson, Hanson: Solving
 * Least Squares Problems, 1974, chapter 23). For a few dozen features; those that say the same share their worth.
 */
export function nonNegativeLeastSquares(
  rows: readonly (readonly number[])[],
  targets: readonly number[],
  weights: readonly number[],
): number[] {
  const size = rows[0]?.length ?? 0
  const gram = Array.from({ length: size }, () => new Float64Array(size))
  const moments = new Float64Array(size)
  rows.forEach((row, index) => {
    for (let one = 0; one < size; one += 1) {
      const weighted = weights[index]! * row[one]!
      if (weighted === 0) continue
      moments[one]! += weighted * targets[index]!
      for (let other = 0; other < size; other += 1) gram[one]![other]! += weighted * row[other]!
    }
  })
  const scales = Array.from(gram, (row, index) => Math.sqrt(row[index]!) || 1)
  scaleToUnitDiagonal(gram, moments, scales)
  return solve(gram, moments).map((value, index) => value / scales[index]!)
}

/** What settles the share of features that cannot be told apart. */
const ridge = 1e-9
const tolerance = 1e-9

function scaleToUnitDiagonal(
  gram: readonly Float64Array[],
  moments: Float64Array,
  scales: readonly number[],
): void {
  gram.forEach((row, one) => {
    for (let other = 0; other < row.length; other += 1) row[other]! /= scales[one]! * scales[other]!
    row[one]! += ridge
    moments[one]! /= scales[one]!
  })
}

function solve(gram: readonly Float64Array[], moments: Float64Array): number[] {
  const size = moments.length
  let solution = Array.from({ length: size }, () => 0)
  const free = new Set<number>()
  const least = tolerance * Math.max(1, ...moments.map(Math.abs))
  // Each round frees one more; three times the number of features is what the method's authors allow.
  for (let round = 0; round < 3 * size; round += 1) {
    const next = steepest(gram, moments, { solution, free })
    if (next === undefined || next.gradient <= least) break
    free.add(next.index)
    solution = settle(gram, moments, { solution, free })
  }
  return solution
}

interface State {
  readonly solution: readonly number[]
  /** Features whose coefficient may be above 0. */
  readonly free: Set<number>
}

/** Of the features held at 0 the one that would make the error less the fastest. */
function steepest(
  gram: readonly Float64Array[],
  moments: Float64Array,
  { solution, free }: State,
): { readonly index: number; readonly gradient: number } | undefined {
  let best: { readonly index: number; readonly gradient: number } | undefined
  for (let index = 0; index < moments.length; index += 1) {
    if (free.has(index)) continue
    let gradient = moments[index]!
    for (const other of free) gradient -= gram[index]![other]! * solution[other]!
    if (best === undefined || gradient > best.gradient) best = { index, gradient }
  }
  return best
}

/** Goes towards the least squares of the free features, and holds at 0 whichever would fall below it on the way. */
function settle(gram: readonly Float64Array[], moments: Float64Array, { solution, free }: State): number[] {
  let from = [...solution]
  for (;;) {
    const indices = [...free]
    const target = solveFree(gram, moments, indices)
    let share = 1
    let first: number | undefined
    indices.forEach((index, at) => {
      if (target[at]! > 0) return
      const reached = from[index]! > 0 ? from[index]! / (from[index]! - target[at]!) : 0
      if (first !== undefined && reached >= share) return
      share = reached
      first = index
    })
    const to = from.map(() => 0)
    indices.forEach((index, at) => (to[index] = from[index]! + share * (target[at]! - from[index]!)))
    if (first === undefined) return to
    // Rounding may leave a trace of it.
    to[first] = 0
    free.delete(first)
    from = to
  }
}

/** By the decomposition of Cholesky: with the ridge the matrix is positive definite. */
function solveFree(
  gram: readonly Float64Array[],
  moments: Float64Array,
  indices: readonly number[],
): Float64Array {
  const size = indices.length
  const lower = indices.map(() => new Float64Array(size))
  const values = new Float64Array(size)
  for (let row = 0; row < size; row += 1) {
    for (let column = 0; column <= row; column += 1) {
      let sum = gram[indices[row]!]![indices[column]!]!
      for (let k = 0; k < column; k += 1) sum -= lower[row]![k]! * lower[column]![k]!
      lower[row]![column] = column === row ? Math.sqrt(Math.max(sum, ridge)) : sum / lower[column]![column]!
    }
    let sum = moments[indices[row]!]!
    for (let k = 0; k < row; k += 1) sum -= lower[row]![k]! * values[k]!
    values[row] = sum / lower[row]![row]!
  }
  for (let row = size - 1; row >= 0; row -= 1) {
    let sum = values[row]!
    for (let k = row + 1; k < size; k += 1) sum -= lower[k]![row]! * values[k]!
    values[row] = sum / lower[row]![row]!
  }
  return values
}
