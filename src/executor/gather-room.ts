import type { Backend } from '../ggml/backend.ts'
import type { Pointer } from '../ggml/functions.ts'

const ALIGNMENT = 128

/** Memory for the K and V of one layer as floats, gathered for sequences that attend together. */
export interface GatherRoom {
  readonly buffer: Pointer
  readonly k: Pointer
  readonly v: Pointer
  readonly numTokens: number
}

/** Untouched pages cost nothing, so the room may be generous. */
export function allocateGatherRoom(backend: Backend, rowElements: number, numTokens: number): GatherRoom {
  const halfBytes = Math.ceil((rowElements * 4 * numTokens) / ALIGNMENT) * ALIGNMENT
  const buffer = backend.allocate(2 * halfBytes + ALIGNMENT)
  const k = Math.ceil(backend.ggml.bufferBase(buffer) / ALIGNMENT) * ALIGNMENT
  return { buffer, k, v: k + halfBytes, numTokens }
}
