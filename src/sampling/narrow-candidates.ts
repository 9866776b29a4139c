import type { LogitsRow } from '../executor/executor.ts'
import type { CandidateList } from './candidate-list.ts'
import type { LogitAdjustments } from './logit-adjustments.ts'

/** With more tokens than this that adjustments may lift, the whole row is cheaper than finding their place. */
const maxRaised = 256

/**
 * Candidates from what the row shows at once: its top tokens, adjusted, and the tokens that adjustments may lift
 * among them. Undefined when that does not even tell the best token.
 *
 * Tokens left out have at most the last top logit, and lose a tie with the last top token: adjustments only lower
 * those among them that they touch. So what comes before that bound is the beginning of the row's order.
 */
export function narrowCandidates(row: LogitsRow, adjustments: LogitAdjustments): CandidateList | undefined {
  const { topIds, topLogits } = row
  const numTop = topIds.length
  list.clear(numTop + maxRaised)
  if (adjustments.size === 0) {
    for (let index = 0; index < numTop; index += 1) list.append(topIds[index]!, topLogits[index]!)
    list.keep(numTop, row.vocabSize)
    return list
  }
  for (let index = 0; index < numTop; index += 1) {
    const id = topIds[index]!
    list.insert(id, adjustments.adjust(id, topLogits[index]!))
  }
  if (numTop < row.vocabSize && !insertRaised(row, adjustments)) return undefined
  list.keep(countBefore(topLogits[numTop - 1]!, topIds[numTop - 1]!, row), row.vocabSize)
  return list.length === 0 ? undefined : list
}

/** Returns false when there are too many of them. */
function insertRaised(row: LogitsRow, adjustments: LogitAdjustments): boolean {
  const bound = row.topLogits[row.topLogits.length - 1]!
  let numRaised = 0
  for (const token of adjustments.touched) {
    if (!adjustments.mayRaise(token)) continue
    numRaised += 1
    if (numRaised > maxRaised) return false
    const logit = row.logitOf(token.id)
    const adjusted = adjustments.adjust(token.id, logit)
    if (adjusted >= bound && !isShown(row, token.id, logit)) list.insert(token.id, adjusted)
  }
  return true
}

function isShown(row: LogitsRow, tokenId: number, logit: number): boolean {
  const last = row.topIds.length - 1
  const bound = row.topLogits[last]!
  return logit > bound || (logit === bound && tokenId <= row.topIds[last]!)
}

function countBefore(bound: number, boundId: number, row: LogitsRow): number {
  if (row.topIds.length === row.vocabSize) return row.vocabSize
  let count = list.length
  while (count > 0) {
    const logit = list.logits[count - 1]!
    if (logit > bound || (logit === bound && list.ids[count - 1]! <= boundId)) break
    count -= 1
  }
  return count
}

/** Scratch of this module: sorted by insertion, which is cheap because the top tokens come in order. */
class NarrowList implements CandidateList {
  length = 0
  isWholeRow = false
  ids = new Int32Array(0)
  logits = new Float32Array(0)

  clear(capacity: number): void {
    this.length = 0
    if (this.ids.length >= capacity) return
    this.ids = new Int32Array(capacity)
    this.logits = new Float32Array(capacity)
  }

  append(id: number, logit: number): void {
    this.ids[this.length] = id
    this.logits[this.length] = logit
    this.length += 1
  }

  insert(id: number, logit: number): void {
    const { ids, logits } = this
    let place = this.length
    while (place > 0) {
      const before = logits[place - 1]!
      if (before > logit || (before === logit && ids[place - 1]! < id)) break
      ids[place] = ids[place - 1]!
      logits[place] = before
      place -= 1
    }
    ids[place] = id
    logits[place] = logit
    this.length += 1
  }

  keep(length: number, vocabSize: number): void {
    this.length = length
    this.isWholeRow = length === vocabSize
  }

  sortTo(): void {}

  /** The list is not in order of token id, so its sum would differ from the row's in the last bits. */
  exactMass(): undefined {
    return undefined
  }
}

const list = new NarrowList()
