/**
 * What attention costs on ggml's CPU kernels: row by row, or in tiles of 64 rows and 64 keys. Queries of all heads that
 * share a KV head can be stacked to fill tiles: those of sequences that share their leading KV (the idea of Hydragen,
 * Juravsky et al., arXiv 2402.05099), and those of a prompt's chunk too short for tiles of its own. The unit is a row
 * that meets a key in the row-wise kernel (about 19 ns for a head of 64 on one core of the machine in
 * `docs/results.md`). Pure.
 */
import { keysAttended } from '../scheduler/step-work.ts'

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
/** Several threads deal out the rows of all heads among them in this many pieces each. */
const piecesPerThread = 4
/** Stacking a row's query and taking its result back. */
const stackedRowCost = 3
/** The operations that do so, however many rows there are. */
const stackingCost = 600
const maxMaskElements = 2 ** 25

export function singleAttentionCost(machine: AttentionMachine, numTokens: number): number {
  return (machine.numHeads * numTokens) / machine.numThreads
}

export function sharedAttentionCost(machine: AttentionMachine, lengths: SharedLengths): SharedCost {
  const { numHeads, numKvHeads, numThreads, headDim } = machine
  const { numSharedTokens, tails } = lengths
  const numKeys = tails.reduce((sum, tail) => sum + tail, numSharedTokens)
  const rowsPerSequence = numHeads / numKvHeads
  const keysOfRows = (row: number, end: number) => {
    let keys = numSharedTokens
    const endSequence = Math.ceil(end / rowsPerSequence)
    for (let index = Math.floor(row / rowsPerSequence); index < endSequence; index++)
      keys += tails[index] ?? 0
    return keys
  }
  const best = cheapestStack(machine, { numQueries: tails.length * rowsPerSequence, numKeys, keysOfRows })
  const gathered = (numKeys * numKvHeads * headDim * gatherCost) / numThreads
  return {
    numRows: best.numRows,
    cost: best.cost + gathered,
    fits: numKeys <= machine.maxGatheredTokens && numKeys * best.numRows <= maxMaskElements,
  }
}

/**
 * How a prompt's chunk of `numTokens` at `position` attends cheapest. `numRows`: rows of stacked queries a KV head, 0
 * where they are better left as they are.
 */
export function chunkAttentionCost(
  machine: AttentionMachine,
  position: number,
  numTokens: number,
): { readonly numRows: number; readonly cost: number } {
  const { numHeads, numKvHeads, numThreads } = machine
  const numKeys = position + numTokens
  const plain =
    numTokens < tileRows
      ? (numHeads * keysAttended(position, numTokens)) / numThreads
      : tiledCost(numThreads, {
          numHeads,
          numRows: numTokens,
          numQueries: numTokens,
          numKeys,
          keysOfRows: (_, end) => position + end,
        })
  const groupSize = numHeads / numKvHeads
  const stacked = cheapestStack(machine, {
    numQueries: numTokens * groupSize,
    numKeys,
    keysOfRows: (_, end) => position + Math.ceil(end / groupSize),
  })
  const moving = stackingCost + (stackedRowCost * numTokens * numHeads) / numThreads
  const fits = numKeys * stacked.numRows <= maxMaskElements
  return fits && stacked.cost + moving < plain
    ? { numRows: stacked.numRows, cost: stacked.cost + moving }
    : { numRows: 0, cost: plain }
}

/** The fewest rows a KV head with which every piece of work is made of whole tiles. */
export function alignedRows(
  { numThreads, numKvHeads }: Pick<AttentionMachine, 'numThreads' | 'numKvHeads'>,
  needed: number,
): number {
  const pieces = numThreads === 1 ? numKvHeads : numThreads * piecesPerThread
  const perPiece = Math.ceil((needed * numKvHeads) / (pieces * tileRows)) * tileRows
  return Math.ceil((perPiece * pieces) / numKvHeads / tileRows) * tileRows
}

/** An upper bound of rows stacked for `numTokens` tokens, a KV head. */
export function mostStackedRows(machine: AttentionMachine, numTokens: number): number {
  const needed = Math.ceil((numTokens * machine.numHeads) / machine.numKvHeads)
  return Math.max(needed, tileRows, alignedRows(machine, needed))
}

interface Stack {
  /** Queries a KV head; further rows only pad. */
  readonly numQueries: number
  readonly numKeys: number
  /** Keys that some query of [row, end) sees. */
  readonly keysOfRows: (row: number, end: number) => number
}

/** A piece of less than a tile pays for a whole one; empty rows that make pieces of whole tiles are skipped cheaply. */
function cheapestStack(machine: AttentionMachine, stack: Stack): { numRows: number; cost: number } {
  const { numThreads, numKvHeads } = machine
  const costOf = (numRows: number) => ({
    numRows,
    cost: tiledCost(numThreads, { numHeads: numKvHeads, numRows, ...stack }),
  })
  const smallest = costOf(Math.max(stack.numQueries, tileRows))
  const aligned = costOf(alignedRows(machine, stack.numQueries))
  return aligned.cost < smallest.cost ? aligned : smallest
}

interface Tiling extends Stack {
  /** Heads as the kernel sees them, and the rows of each. */
  readonly numHeads: number
  readonly numRows: number
}

/** Walks the tiles as the kernel cuts them, within heads and within pieces, and deals out the pieces to threads. */
function tiledCost(numThreads: number, tiling: Tiling): number {
  const { numHeads, numRows, numQueries, numKeys, keysOfRows } = tiling
  const allRows = numHeads * numRows
  const rowsPerPiece = numThreads === 1 ? allRows : Math.ceil(allRows / (numThreads * piecesPerThread))
  const numTiles = Math.ceil(numKeys / tileKeys)
  const threads = Array.from({ length: numThreads }, () => 0)
  for (let piece = 0; piece < allRows; piece += rowsPerPiece) {
    let cost = 0
    const pieceEnd = Math.min(allRows, piece + rowsPerPiece)
    for (let at = piece; at < pieceEnd;) {
      const row = at % numRows
      const end = Math.min(numRows, row + tileRows, row + pieceEnd - at)
      const keys = row < numQueries ? keysOfRows(row, Math.min(end, numQueries)) : 0
      const computed = Math.min(numTiles, Math.ceil(keys / tileKeys))
      const skipped = ((numTiles - computed) * (end - row)) / tileRows
      cost += computed * tileCost + skipped * skippedTileCost
      at += end - row
    }
    // The next piece goes to whoever is free first.
    const free = threads.indexOf(Math.min(...threads))
    threads[free]! += cost
  }
  return Math.max(...threads)
}
