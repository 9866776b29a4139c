/**
 * Rows of logits as the sampler sees them, over the memory the graph wrote. The few best tokens were selected by the
 * graph; here they are put in order and cut where a tie leaves their identity open.
 */
import type { LogitsRow } from './executor.ts'

/** The host's view of a step's results. */
export interface LogitsMemory {
  /** F32, row after row of `vocabSize`. */
  readonly logits: Float32Array
  /** I32, row after row of `topK`, unordered. */
  readonly topIds: Int32Array
  readonly topK: number
  readonly vocabSize: number
  /** softmax(logits * inverseTemperature), where the graph made it. */
  readonly probabilities: Float32Array | undefined
  readonly inverseTemperature: number | undefined
}

export function logitsRow(memory: LogitsMemory, index: number): LogitsRow {
  return new MemoryRow(memory, index)
}

class MemoryRow implements LogitsRow {
  readonly vocabSize: number
  readonly topIds: ArrayLike<number>
  readonly topLogits: ArrayLike<number>
  readonly #memory: LogitsMemory
  readonly #start: number

  constructor(memory: LogitsMemory, index: number) {
    this.#memory = memory
    this.vocabSize = memory.vocabSize
    this.#start = index * memory.vocabSize
    const ids = memory.topIds.slice(index * memory.topK, (index + 1) * memory.topK)
    const logits = Float32Array.from(ids, (id) => this.logitOf(id))
    sortDescending(ids, logits)
    const count = decidedCount(logits, memory.topK >= memory.vocabSize)
    if (count > 0) {
      this.topIds = ids.subarray(0, count)
      this.topLogits = logits.subarray(0, count)
    } else {
      const best = this.full().indexOf(logits[0] ?? Number.NaN)
      this.topIds = [best >= 0 ? best : (ids[0] ?? 0)]
      this.topLogits = logits.subarray(0, 1)
    }
  }

  logitOf(tokenId: number): number {
    return this.#memory.logits[this.#start + tokenId] ?? Number.NEGATIVE_INFINITY
  }

  logSumExp(inverseTemperature: number): number {
    const { probabilities } = this.#memory
    const best = this.topIds[0] ?? 0
    const scaled = (this.topLogits[0] ?? 0) * inverseTemperature
    if (probabilities !== undefined && this.#memory.inverseTemperature === inverseTemperature) {
      return scaled - Math.log(probabilities[this.#start + best] ?? 0)
    }
    let sum = 0
    for (const logit of this.full()) sum += Math.exp(logit * inverseTemperature - scaled)
    return scaled + Math.log(sum)
  }

  full(): Float32Array {
    return this.#memory.logits.subarray(this.#start, this.#start + this.vocabSize)
  }
}

/** Insertion sort: a few dozen elements, often nearly in order. Ties to the lower id. */
function sortDescending(ids: Int32Array, logits: Float32Array): void {
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
function decidedCount(logits: Float32Array, isWholeVocabulary: boolean): number {
  if (isWholeVocabulary) return logits.length
  const last = logits[logits.length - 1]
  let count = logits.length
  while (count > 0 && logits[count - 1] === last) count--
  return count
}
