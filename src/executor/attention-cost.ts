/**
 * What attention costs on ggml's CPU kernels: row by row, or in tiles of 64 rows and 64 keys, as sequences do that
 * share their leading KV (the idea of Hydragen, Juravsky et al., arXiv 2402.05099). The unit is a row that meets a key
 * in the row-wise kernel (about 19 ns for a head of 64 on one core of the machine in `docs/results.md`). Pure.
 */
export interface AttentionMachine {
  readonly numThreads: number
  readonly numHeads: number
  readonly numKvHeads: number
  readonly headDim: number
  /** Tokens that can be gathered for a group. */
  readonly maxGatheredTokens: number
}

export interface SharedLengths {
  readonly numSharedTokens: number
  /** Tokens of each sequence behind the shared ones. */
  readonly tails: readonly number[]
}

export interface SharedCost {
  readonly cost: number
  /** Rows of queries a KV head, padded to what is cheapest. */
  readonly numRows: number
  readonly fits: boolean
}

/** Rows of a tile; with fewer the kernel goes row by row. */
export const tileRows = 64
const tileKeys = 64
/** A tile, computed. */
const tileCost = 0.27 * tileRows * tileKeys
/** A tile that turns out to be masked. */
const skippedTileCost = 0.06 * tileRows * tileKeys
/** K and V of a token, copied as floats, for each element of a row of K. */
const gatherCost = 2 / 128
/** The kernel deals out its rows in this many pieces a thread. */
const piecesPerThread = 4
const maxMaskElements = 2 ** 25

export function singleAttentionCost(machine: AttentionMachine, numTokens: number): number {
  return (machine.numHeads * numTokens) / machine.numThreads
}

export function sharedAttentionCost(machine: AttentionMachine, lengths: SharedLengths): SharedCost {
  const { numHeads, numKvHeads, numThreads, headDim } = machine
  const numKeys = lengths.tails.reduce((sum, tail) => sum + tail, lengths.numSharedTokens)
  const needed = (lengths.tails.length * numHeads) / numKvHeads
  const smallest = Math.max(needed, tileRows)
  // A piece of less than a tile pays for a whole one; empty rows that make pieces of whole tiles are skipped cheaply.
  const aligned = alignedRows(machine, needed)
  const candidates = [smallest, aligned].map((numRows) => ({
    numRows,
    cost: tiledCost(machine, lengths, numRows, needed),
  }))
  const [first, second] = candidates as [(typeof candidates)[0], (typeof candidates)[0]]
  const best = second.cost < first.cost ? second : first
  const gathered = (numKeys * numKvHeads * headDim * gatherCost) / numThreads
  return {
    numRows: best.numRows,
    cost: best.cost + gathered,
    fits: numKeys <= machine.maxGatheredTokens && numKeys * best.numRows <= maxMaskElements,
  }
}

/** The fewest rows a KV head with which every piece of work is made of whole tiles. */
export function alignedRows(
  { numThreads, numKvHeads }: Pick<AttentionMachine, 'numThreads' | 'numKvHeads'>,
  needed: number,
): number {
  const pieces = numThreads * piecesPerThread
  const perPiece = Math.ceil((needed * numKvHeads) / (pieces * tileRows)) * tileRows
  return Math.ceil((perPiece * pieces) / numKvHeads / tileRows) * tileRows
}

/** An upper bound of `numRows` for a group of `numSequences`. */
export function mostStackedRows(machine: AttentionMachine, numSequences: number): number {
  const needed = Math.ceil((numSequences * machine.numHeads) / machine.numKvHeads)
  return Math.max(needed, tileRows, alignedRows(machine, needed))
}

/** Walks the tiles of one KV head as the kernel cuts them. */
function tiledCost(
  { numThreads, numHeads, numKvHeads }: AttentionMachine,
  { numSharedTokens, tails }: SharedLengths,
  numRows: number,
  needed: number,
): number {
  const rowsPerSequence = numHeads / numKvHeads
  const numKeys = tails.reduce((sum, tail) => sum + tail, numSharedTokens)
  const rowsPerPiece = Math.ceil((numRows * numKvHeads) / (numThreads * piecesPerThread))
  const numTiles = Math.ceil(numKeys / tileKeys)
  let total = 0
  let largest = 0
  let row = 0
  while (row < numRows) {
    const end = Math.min(numRows, row + tileRows, nextMultiple(row, rowsPerPiece))
    const firstSequence = Math.floor(row / rowsPerSequence)
    const endSequence = Math.ceil(Math.min(end, needed) / rowsPerSequence)
    let keys = row < needed ? numSharedTokens : 0
    for (let sequence = firstSequence; sequence < endSequence; sequence++) keys += tails[sequence] ?? 0
    const computed = Math.min(numTiles, Math.ceil(keys / tileKeys))
    const skipped = ((numTiles - computed) * (end - row)) / tileRows
    const cost = computed * tileCost + skipped * skippedTileCost
    total += cost
    largest = Math.max(largest, cost)
    row = end
  }
  return Math.max((total * numKvHeads) / numThreads, largest)
}

const nextMultiple = (value: number, of: number) => (Math.floor(value / of) + 1) * of
