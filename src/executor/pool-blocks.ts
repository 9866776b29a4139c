/**
 * Copies whole blocks of KV, all layers of them, between the pool and memory of the host. Blocks that lie side by side
 * go as one run, so that a layer costs one call for K and one for V. The calls hold up the thread that makes them, which
 * therefore is one of its own, made from `PoolPlace`, wherever time matters.
 */
import { invariant } from '../core/errors.ts'
import { bindGgml, type GgmlFunctions, type Pointer } from '../ggml/functions.ts'
import { addressOf } from '../ggml/graph-context.ts'
import { openLibraries } from '../ggml/library.ts'
import type { ChosenDevice } from '../ggml/platform.ts'
import type { Extent } from '../kvcache/extent.ts'
import type { BlockMemory } from './executor.ts'

/** Where a pool's blocks are: plain data, of use in any thread of the process while the pool exists. */
export interface PoolPlace {
  /** Whose libraries the process has open. */
  readonly device: ChosenDevice
  /** Bytes of one block over all layers. */
  readonly bytesPerBlock: number
  readonly halves: readonly PoolHalf[]
}

/** A layer's K or V, and where its blocks begin in host memory for one block. */
export interface PoolHalf {
  readonly tensor: Pointer
  readonly address: Pointer
  readonly blockBytes: number
  readonly offset: number
}

type Functions = Pick<GgmlFunctions, 'getTensor2d' | 'setTensor2d'>

export class PoolBlocks implements BlockMemory {
  readonly bytesPerBlock: number
  readonly place: PoolPlace
  readonly #functions: Functions

  constructor(place: PoolPlace, functions: Functions) {
    this.bytesPerBlock = place.bytesPerBlock
    this.place = place
    this.#functions = functions
  }

  async read(extents: readonly Extent[], bytes: Uint8Array): Promise<void> {
    this.#copy(this.#functions.getTensor2d, extents, bytes)
  }

  async write(extents: readonly Extent[], bytes: Uint8Array): Promise<void> {
    this.#copy(this.#functions.setTensor2d, extents, bytes)
  }

  /** One call for each half of a layer and each extent, with the blocks' parts a whole block apart in `bytes`. */
  #copy(move: Functions['getTensor2d'], extents: readonly Extent[], bytes: Uint8Array): void {
    const { bytesPerBlock } = this
    const base = addressOf(bytes)
    let at = 0
    for (const { start, length } of extents) {
      invariant((at + length) * bytesPerBlock <= bytes.length, 'the staging memory is too small')
      for (const { tensor, blockBytes, offset } of this.place.halves) {
        const host = base + at * bytesPerBlock + offset
        move(tensor, host, start * blockBytes, blockBytes, length, blockBytes, bytesPerBlock)
      }
      at += length
    }
  }
}

/** The same blocks in another thread of the process. */
export function openPoolBlocks(place: PoolPlace): PoolBlocks {
  const { base, ggml } = openLibraries({ device: place.device })
  return new PoolBlocks(place, bindGgml(base, ggml))
}
