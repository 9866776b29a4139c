import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { nonNegativeLeastSquares } from './least-squares.ts'

const numberOf = fc.integer({ min: -20, max: 20 })

const problem = fc.integer({ min: 1, max: 5 }).chain((size) =>
  fc.record({
    rows: fc.array(fc.array(numberOf, { minLength: size, maxLength: size }), {
      minLength: size,
      maxLength: 20,
    }),
    noise: fc.array(numberOf, { minLength: 20, maxLength: 20 }),
  }),
)

function squaredError(rows: readonly number[][], targets: readonly number[], solution: readonly number[]) {
  return rows.reduce((sum, row, index) => {
    const predicted = row.reduce((total, value, at) => total + value * solution[at]!, 0)
    return sum + (predicted - targets[index]!) ** 2
  }, 0)
}

describe('non-negative least squares', () => {
  test('finds coefficients that are there', () => {
    const rows = [
      [1, 0, 2],
      [1, 3, 1],
      [1, 1, 0],
      [1, 5, 7],
    ]
    const solution = nonNegativeLeastSquares(
      rows,
      rows.map(([a, , c]) => 4 * a! + 0.5 * c!),
      [1, 1, 1, 1],
    )
    expect(solution[0]).toBeCloseTo(4, 4)
    expect(solution[1]).toBeCloseTo(0, 4)
    expect(solution[2]).toBeCloseTo(0.5, 4)
  })

  test('cannot be made better by changing a coefficient, and has none below 0', () => {
    fc.assert(
      fc.property(problem, ({ rows, noise }) => {
        const targets = rows.map((_, index) => noise[index]!)
        const weights = rows.map(() => 1)
        const solution = nonNegativeLeastSquares(rows, targets, weights)
        const error = squaredError(rows, targets, solution)
        solution.forEach((value, index) => {
          expect(value).toBeGreaterThanOrEqual(0)
          for (const change of [-0.01, 0.01]) {
            const other = solution.with(index, Math.max(0, value + change))
            expect(squaredError(rows, targets, other)).toBeGreaterThanOrEqual(error - 1e-4)
          }
        })
      }),
    )
  })

  test('counts a row by its weight', () => {
    expect(nonNegativeLeastSquares([[1], [1]], [0, 10], [3, 1])[0]).toBeCloseTo(2.5, 6)
  })
})
