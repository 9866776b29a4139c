/**
 * Rows of logits as the sampler sees them, over the memory the graph wrote. The few best tokens were selected by the
 * graph; here they are put in order and cut where a tie leaves their identity open.
 */
import type { LogitsRow } from './executor.ts'

/** The host's view of a step's results. */
export interface LogitsMemory {
  readonly vocabSize: number
  readonly topK: number
  /** Row after row of `topK`, unordered; and their logits. */
  readonly topIds: Int32Array
  readonly topLogits: Float32Array
  readonly masses: readonly RowMasses[]
  /** A whole row of logits: in place, or fetched from a device. */
  row(index: number): Float32Array
}

/** The result of one reduction. */
export interface RowMasses {
  /** 1/T of each row. */
  readonly inverseTemperatures: readonly number[]
  /** softmax(logits / T) of the top tokens. */
  readonly shares: Float32Array
}

export function logitsRow(memory: LogitsMemory, index: number): LogitsRow {
  return new MemoryRow(memory, index)
}

class MemoryRow implements LogitsRow {
  readonly vocabSize: number
  readonly topIds: ArrayLike<number>
  readonly topLogits: ArrayLike<number>
  readonly #memory: LogitsMemory
  readonly #index: number
  /** Where the best of this row's top tokens stands in the memory. */
  readonly #best: number
  #whole: Float32Array | undefined

  constructor(memory: LogitsMemory, index: number) {
    this.#memory = memory
    this.#index = index
    this.vocabSize = memory.vocabSize
    const start = index * memory.topK
    // Plain arrays: for so few elements, views and copies of typed ones would cost several times what the rest does.
    const ids: number[] = []
    const logits: number[] = []
    for (let at = start; at < start + memory.topK; at++) {
      ids.push(memory.topIds[at] ?? 0)
      logits.push(memory.topLogits[at] ?? Number.NaN)
    }
    sortDescending(ids, logits)
    this.#best = memory.topIds.indexOf(ids[0] ?? 0, start)
    const count = decidedCount(logits, memory.topK >= memory.vocabSize)
    if (count > 0) {
      ids.length = count
      logits.length = count
      this.topIds = ids
      this.topLogits = logits
    } else {
      const best = this.full().indexOf(logits[0] ?? Number.NaN)
      this.topIds = [best >= 0 ? best : (ids[0] ?? 0)]
      this.topLogits = logits.slice(0, 1)
    }
  }

  logitOf(tokenId: number): number {
    return this.full()[tokenId] ?? Number.NEGATIVE_INFINITY
  }

  logSumExp(inverseTemperature: number): number {
    const scaled = (this.topLogits[0] ?? 0) * inverseTemperature
    for (const { inverseTemperatures, shares } of this.#memory.masses) {
      if (inverseTemperatures[this.#index] === inverseTemperature) {
        return scaled - Math.log(shares[this.#best] ?? 0)
      }
    }
    let sum = 0
    for (const logit of this.full()) sum += Math.exp(logit * inverseTemperature - scaled)
    return scaled + Math.log(sum)
  }

  full(): Float32Array {
    this.#whole ??= this.#memory.row(this.#index)
    return this.#whole
  }
}

/** Insertion sort: a few dozen elements, often nearly in order. Ties to the lower id. */
function sortDescending(ids: number[], logits: number[]): void {
  for (let end = 1; end < ids.length; end++) {
    const id = ids[end] as number
    const logit = logits[end] as number
    let at = end - 1
    while (at >= 0 && isBefore(logit, id, logits[at] as number, ids[at] as number)) {
      ids[at + 1] = ids[at] as number
      logits[at + 1] = logits[at] as number
      at--
    }
    ids[at + 1] = id
    logits[at + 1] = logit
  }
}

function isBefore(logit: number, id: number, otherLogit: number, otherId: number): boolean {
  return logit > otherLogit || (logit === otherLogit && id < otherId)
}

/** Tokens tied with the last selected one may have been left out in favour of a higher id: they do not count. */
function decidedCount(logits: readonly number[], isWholeVocabulary: boolean): number {
  if (isWholeVocabulary) return logits.length
  const last = logits[logits.length - 1]
  let count = logits.length
  while (count > 0 && logits[count - 1] === last) count--
  return count
}
