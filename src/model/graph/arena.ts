import { invariant } from '../../core/errors.ts'
import type { Pointer } from '../../ggml/functions.ts'

const ALIGNMENT = 128

/** A bump allocator over the compute buffer. Tensors of one layer take over the room of the layer before. */
export class Arena {
  readonly #end: Pointer
  #next: Pointer

  constructor(base: Pointer, numBytes: number) {
    this.#next = align(base)
    this.#end = base + numBytes
  }

  take(numBytes: number): Pointer {
    const address = this.#next
    this.#next = align(address + numBytes)
    invariant(this.#next <= this.#end, `the compute buffer is ${this.#next - this.#end} bytes too small`)
    return address
  }

  mark(): Pointer {
    return this.#next
  }

  /** Everything taken since the mark is free again. */
  reset(mark: Pointer): void {
    this.#next = mark
  }
}

function align(address: Pointer): Pointer {
  return Math.ceil(address / ALIGNMENT) * ALIGNMENT
}
