/**
 * A ggml context whose memory belongs to JavaScript: tensor structs are created by ggml and can afterwards be
 * placed and patched by plain typed-array writes. That is what makes a graph reusable from step to step.
 */
import koffi from 'koffi'
import { invariant } from '../core/errors.ts'
import type { GgmlFunctions, Pointer } from './functions.ts'
import { graphStruct, tensorStruct } from './tensor-struct.ts'

const TWO_32 = 4_294_967_296

export class GraphContext {
  /** The `ggml_context*` for ggml's constructors. */
  readonly pointer: Pointer
  readonly #ggml: GgmlFunctions
  readonly #words: Uint32Array
  readonly #floats: Float32Array
  readonly #base: number
  readonly #slices: Uint32Array[] = []
  #open = true

  constructor(ggml: GgmlFunctions, numBytes: number) {
    this.#ggml = ggml
    const memory = new ArrayBuffer(Math.ceil(numBytes / 16) * 16)
    this.#words = new Uint32Array(memory)
    this.#floats = new Float32Array(memory)
    this.#base = addressOf(new Uint8Array(memory))
    this.pointer = ggml.init({ mem_size: memory.byteLength, mem_buffer: this.#base, no_alloc: true })
    invariant(this.pointer !== 0, 'ggml_init failed')
  }

  /**
   * Gives a tensor its memory: what ggml's allocators would do. A view lies where its own address says from then on:
   * some backends would rather add its first offset to what it was a view of, and would not see it move.
   */
  place(tensor: Pointer, buffer: Pointer, address: Pointer): void {
    this.#setPointer(tensor, tensorStruct.viewSrc, 0)
    this.#setPointer(tensor, tensorStruct.viewOffset, 0)
    this.#setPointer(tensor, tensorStruct.buffer, buffer)
    this.#setPointer(tensor, tensorStruct.data, address)
  }

  setData(tensor: Pointer, address: Pointer): void {
    this.#setPointer(tensor, tensorStruct.data, address)
  }

  data(tensor: Pointer): Pointer {
    return this.#pointerAt(tensor, tensorStruct.data)
  }

  /** What the buffer's owner attached when the tensor was placed; 0 when nothing. */
  extra(tensor: Pointer): Pointer {
    return this.#pointerAt(tensor, tensorStruct.extra)
  }

  /** Bytes of a contiguous tensor: ne[3] * nb[3]. */
  numBytes(tensor: Pointer): number {
    return this.ne(tensor, 3) * this.#pointerAt(tensor, tensorStruct.nb + 24)
  }

  ne(tensor: Pointer, dimension: number): number {
    return this.#pointerAt(tensor, tensorStruct.ne + dimension * 8)
  }

  /** Changes the number of rows; the strides of the higher dimensions stay. */
  setNumRows(tensor: Pointer, rows: number): void {
    this.#words[(tensor + tensorStruct.ne + 8 - this.#base) >>> 2] = rows
  }

  /** Changes the number of rows of a contiguous 2-D tensor, and the strides that follow from it. */
  setRows2d(tensor: Pointer, rows: number, rowBytes: number): void {
    const word = (tensor - this.#base) >>> 2
    const nb = word + (tensorStruct.nb >>> 2)
    this.#words[word + (tensorStruct.ne >>> 2) + 2] = rows
    this.#words[nb + 4] = rows * rowBytes
    this.#words[nb + 6] = rows * rowBytes
  }

  /** Changes the shape of a contiguous 2-D tensor of elements of `elementBytes`. */
  setShape2d(tensor: Pointer, ne0: number, ne1: number, elementBytes: number): void {
    const word = (tensor - this.#base) >>> 2
    const ne = word + (tensorStruct.ne >>> 2)
    const nb = word + (tensorStruct.nb >>> 2)
    this.#words[ne] = ne0
    this.#words[ne + 2] = ne1
    this.#words[nb + 2] = ne0 * elementBytes
    this.#words[nb + 4] = ne0 * ne1 * elementBytes
    this.#words[nb + 6] = ne0 * ne1 * elementBytes
  }

  /** Writes a float operator parameter (`op_params[index]`). */
  setFloatParam(tensor: Pointer, index: number, value: number): void {
    this.#floats[(tensor + tensorStruct.opParams - this.#base) / 4 + index] = value
  }

  /** Writes an integer operator parameter (`op_params[index]`). */
  setIntParam(tensor: Pointer, index: number, value: number): void {
    this.#words[(tensor + tensorStruct.opParams - this.#base) / 4 + index] = value
  }

  numNodes(graph: Pointer): number {
    return this.#words[this.#graphWord(graph, graphStruct.numNodes)] ?? 0
  }

  /** Where a tensor stands among the nodes of a graph; -1: nowhere. */
  nodeIndex(graph: Pointer, tensor: Pointer): number {
    const nodes = this.#pointerAt(graph, graphStruct.nodes)
    for (let index = 0; index < this.numNodes(graph); index++) {
      if (this.#pointerAt(nodes, index * 8) === tensor) return index
    }
    return -1
  }

  /**
   * A graph of the nodes [start, end) of another one of this context, as ggml's own `ggml_graph_view`. It lives as
   * long as the context.
   */
  slice(graph: Pointer, start: number, end: number): Pointer {
    invariant(start <= end && end <= this.numNodes(graph), 'a slice beyond its graph')
    const first = (graph - this.#base) >>> 2
    const copy = this.#words.slice(first, first + graphStruct.size / 4)
    const nodes = this.#pointerAt(graph, graphStruct.nodes) + start * 8
    copy.fill(0, 0, graphStruct.useCounts / 4)
    copy[graphStruct.numNodes / 4] = end - start
    copy[graphStruct.nodes / 4] = nodes % TWO_32
    copy[graphStruct.nodes / 4 + 1] = Math.floor(nodes / TWO_32)
    copy.fill(0, graphStruct.uid / 4)
    this.#slices.push(copy)
    return addressOf(new Uint8Array(copy.buffer))
  }

  close(): void {
    if (!this.#open) return
    this.#open = false
    this.#ggml.free(this.pointer)
  }

  #graphWord(graph: Pointer, offset: number): number {
    return (graph + offset - this.#base) >>> 2
  }

  #setPointer(tensor: Pointer, offset: number, value: number): void {
    const word = (tensor + offset - this.#base) >>> 2
    this.#words[word] = value % TWO_32
    this.#words[word + 1] = Math.floor(value / TWO_32)
  }

  #pointerAt(tensor: Pointer, offset: number): number {
    const word = (tensor + offset - this.#base) >>> 2
    return (this.#words[word] ?? 0) + (this.#words[word + 1] ?? 0) * TWO_32
  }
}

/** The address of a typed array's first byte. The array must be kept alive as long as the address is used. */
export function addressOf(view: Uint8Array): Pointer {
  return Number(koffi.address(view))
}
