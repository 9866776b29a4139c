import type { LogitsRow } from '../../src/executor/executor.ts'

/** A row over a plain array that shows its `numTop` best tokens and counts how often all of it was asked for. */
export interface CountingRow extends LogitsRow {
  readonly numFullReads: number
}

export function rowOf(logits: ArrayLike<number>, numTop: number): CountingRow {
  const values = Float32Array.from(logits)
  const ids = Array.from(values, (_, id) => id)
  ids.sort((a, b) => values[b]! - values[a]! || a - b)
  const topIds = Int32Array.from(ids.slice(0, numTop))
  const row = {
    vocabSize: values.length,
    topIds,
    topLogits: Float32Array.from(topIds, (id) => values[id]!),
    numFullReads: 0,
    /** Rounded as a sum in the graph would be. */
    logSumExp: (inverseTemperature: number) => Math.fround(logSumExp(values, inverseTemperature)),
    logitOf: (tokenId: number) => values[tokenId]!,
    full: () => {
      row.numFullReads += 1
      return values
    },
  }
  return row
}

function logSumExp(values: Float32Array, inverseTemperature: number): number {
  const best = values.reduce((a, b) => Math.max(a, b))
  const sum = values.reduce((total, value) => total + Math.exp((value - best) * inverseTemperature), 0)
  return best * inverseTemperature + Math.log(sum)
}
