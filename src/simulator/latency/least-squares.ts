/**
 * Least squares with no coefficient below 0, by coordinate descent on the normal equations (Franc, Hlavac, Navara:
 * Sequential Coordinate-wise Algorithm for the Non-negative Least Squares Problem, 2005). For a few dozen features.
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
  return descend(gram, moments)
}

const mostSweeps = 20_000
const tolerance = 1e-10

function descend(gram: readonly Float64Array[], moments: Float64Array): number[] {
  const size = moments.length
  const solution = new Float64Array(size)
  for (let sweep = 0; sweep < mostSweeps; sweep += 1) {
    let largest = 0
    for (let index = 0; index < size; index += 1) {
      const curvature = gram[index]![index]!
      if (curvature === 0) continue
      let gradient = -moments[index]!
      for (let other = 0; other < size; other += 1) gradient += gram[index]![other]! * solution[other]!
      const next = Math.max(0, solution[index]! - gradient / curvature)
      const change = (next - solution[index]!) * Math.sqrt(curvature)
      largest = Math.max(largest, Math.abs(change))
      solution[index] = next
    }
    if (largest < tolerance) break
  }
  return Array.from(solution)
}
