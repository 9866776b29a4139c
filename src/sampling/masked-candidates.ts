import type { LogitsRow } from '../executor/executor.ts'
import { allows, type TokenMask } from '../grammar/token-mask.ts'
import { weightOf, type CandidateList } from './candidate-list.ts'
import type { LogitAdjustments } from './logit-adjustments.ts'
import { checkLogit, unusableLogits } from './logit-errors.ts'
import { narrowCandidates } from './narrow-candidates.ts'

/**
 * Candidates under a mask, looking at as little of the row as may decide: all allowed tokens where they are few, else
 * the allowed ones among what the row shows at once. Undefined when that does not even tell the best of them.
 * @throws {ServingError} `INTERNAL` when a token that is looked at has no usable logit.
 */
export function maskedCandidates(
  row: LogitsRow,
  adjustments: LogitAdjustments,
  mask: TokenMask,
): CandidateList | undefined {
  if (mask.allowed !== undefined) {
    list.takeAll(row.full(), adjustments, mask.allowed)
    return list
  }
  const shown = narrowCandidates(row, adjustments)
  if (shown === undefined) return undefined
  list.takeAllowed(shown, mask)
  return list.length === 0 ? undefined : list
}

/**
 * The allowed token with the highest logit, ties to the lower id. A model that knows the form mostly offers one that is
 * allowed: then the row is not read.
 * @throws {ServingError} `INTERNAL` when no allowed token has a usable logit.
 */
export function bestAllowed(row: LogitsRow, mask: TokenMask): number {
  const offered = row.topIds[0]!
  if (allows(mask, offered)) return offered
  const logits = row.full()
  let best = -1
  let bestLogit = -Infinity
  const look = (id: number): void => {
    const logit = logits[id]!
    if (logit > bestLogit) {
      best = id
      bestLogit = logit
    }
  }
  if (mask.allowed !== undefined) mask.allowed.forEach(look)
  else for (let id = 0; id < logits.length; id += 1) if (allows(mask, id)) look(id)
  checkLogit(best < 0 ? undefined : bestLogit)
  return best
}

/** An id and an order-preserving image of a float32 share a double's 53 bits. */
const idRange = 2 ** 21

/** Scratch of this module. */
class MaskedList implements CandidateList {
  length = 0
  /** Of the allowed tokens: no other has weight. */
  isWholeRow = false
  ids = new Int32Array(0)
  logits = new Float32Array(0)
  readonly #float = new Float32Array(1)
  readonly #bits = new Uint32Array(this.#float.buffer)
  #keys = new Float64Array(0)
  /** In order of token id. */
  #values = new Float32Array(0)

  takeAllowed(shown: CandidateList, mask: TokenMask): void {
    this.#reserve(shown.length)
    this.isWholeRow = false
    for (let index = 0; index < shown.length; index += 1) {
      const id = shown.ids[index]!
      if (allows(mask, id)) this.#append(id, shown.logits[index]!)
    }
  }

  takeAll(row: Float32Array, adjustments: LogitAdjustments, allowed: Int32Array): void {
    this.#reserve(allowed.length)
    this.isWholeRow = true
    const keys = this.#keys.subarray(0, allowed.length)
    for (const [index, id] of allowed.entries()) {
      const logit = adjustments.adjust(id, row[id]!)
      if (Number.isNaN(logit)) throw unusableLogits(logit)
      this.#values[index] = logit
      keys[index] = this.#rankOf(logit) * idRange + id
    }
    keys.sort()
    for (const key of keys) {
      const id = key % idRange
      this.#append(id, adjustments.adjust(id, row[id]!))
    }
    checkLogit(this.logits[0])
  }

  sortTo(): void {}

  exactMass(inverseTemperature: number): number | undefined {
    if (!this.isWholeRow) return undefined
    const best = this.logits[0]!
    let mass = 0
    for (let index = 0; index < this.length; index += 1) {
      mass += weightOf(this.#values[index]!, best, inverseTemperature)
    }
    return mass
  }

  #append(id: number, logit: number): void {
    this.ids[this.length] = id
    this.logits[this.length] = logit
    this.length += 1
  }

  #reserve(capacity: number): void {
    this.length = 0
    if (this.ids.length >= capacity) return
    this.ids = new Int32Array(capacity)
    this.logits = new Float32Array(capacity)
    this.#keys = new Float64Array(capacity)
    this.#values = new Float32Array(capacity)
  }

  /** Falls as the logit rises; the same for both zeros. */
  #rankOf(logit: number): number {
    this.#float[0] = logit
    const bits = this.#bits[0]!
    if (bits === 0x8000_0000) return 0x7fff_ffff
    return bits > 0x8000_0000 ? bits : 0x7fff_ffff - bits
  }
}

const list = new MaskedList()
