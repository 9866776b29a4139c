/**
 * A WebAssembly module of one function, `sum(at, numBytes, keys, seal)`: NH in two levels over memory of its own,
 * with instructions that multiply four pairs of words at once. What it computes and what that is good for:
 * `staging-memory.ts`. Written in WebAssembly's own opcodes, as JavaScript is thirty times slower.
 */

/** Bytes that one key of the first level serves; the sums of all pieces are the words of the second level. */
export const pieceBytes = 4096
/** Sizes must be a multiple of this. */
export const strideBytes = 64

type Code = readonly number[]

const i32 = 0x7f
const i64 = 0x7e
const v128 = 0x7b

/** Locals: first the parameters. */
const [at, numBytes, keys, seal] = [0, 1, 2, 3]
const [end, key, pieceEnd, key2] = [4, 5, 6, 7]
const [sum, piece] = [8, 9]
const [even, odd, low, high] = [10, 11, 12, 13]
const locals: Code = [3, 4, i32, 2, i64, 4, v128]

const get = (local: number): Code => [0x20, local]
const set = (local: number, ...value: Code[]): Code => [...value.flat(), 0x21, local]
const constant = (value: number): Code => [0x41, ...signed(value)]
const simd = (opcode: number): Code => [0xfd, ...unsigned(opcode)]
const loop = (...body: Code[]): Code => [0x03, 0x40, ...body.flat(), 0x0b]
const repeatWhileBelow = (local: number, limit: number): Code => [...get(local), ...get(limit), 0x49, 0x0d, 0]

const add: Code = [0x6a]
const add64: Code = [0x7c]
const multiply64: Code = [0x7e]
const select: Code = [0x1b]
const isBelow: Code = [0x49]
const widen: Code = [0xad]
const lowWord: Code = [0xa7]
const highWord: Code = [0x42, 32, 0x88, 0xa7]
const loadWord = (offset: number): Code => [0x28, 2, offset]
const load = (offset: number): Code => [...simd(0), 0, offset]
const addWords = simd(0xae)
const addSums = simd(0xce)
const multiplyFirst = simd(0xde)
const multiplyLast = simd(0xdf)
const zero: Code = [...simd(0x0c), ...Array.from({ length: 16 }, () => 0)]
const half = (lane: number): Code => [...simd(0x1d), lane]

/** Four words at an offset, each with its word of the key added. */
const keyed = (offset: number): Code => [get(at), load(offset), get(key), load(offset), addWords].flat()

/** Adds the products of eight words: each of the first four with one of the last four. */
const addProducts = (offset: number): Code =>
  [
    set(even, keyed(offset)),
    set(odd, keyed(offset + 16)),
    set(low, get(low), get(even), get(odd), multiplyFirst, addSums),
    set(high, get(high), get(even), get(odd), multiplyLast, addSums),
  ].flat()

const step = (local: number, bytes: number): Code => set(local, get(local), constant(bytes), add)

/** Adds to the sum a product of two words, each with its word of the second key. */
const addPair = (first: readonly Code[], second: readonly Code[]): Code =>
  [
    set(
      sum,
      get(sum),
      ...[...first, get(key2), loadWord(0), add, widen],
      ...[...second, get(key2), loadWord(4), add, widen],
      multiply64,
      add64,
    ),
    step(key2, 8),
  ].flat()

const body: Code = [
  set(end, get(at), get(numBytes), add),
  set(key2, get(keys), constant(pieceBytes), add),
  loop(
    set(pieceEnd, get(at), constant(pieceBytes), add),
    set(pieceEnd, get(pieceEnd), get(end), get(pieceEnd), get(end), isBelow, select),
    set(key, get(keys)),
    set(low, zero),
    set(high, zero),
    loop(addProducts(0), addProducts(32), step(at, strideBytes), step(key, strideBytes), [
      ...repeatWhileBelow(at, pieceEnd),
    ]),
    set(low, get(low), get(high), addSums),
    set(piece, get(low), half(0), get(low), half(1), add64),
    addPair([get(piece), lowWord], [get(piece), highWord]),
    repeatWhileBelow(at, end),
  ),
  addPair([get(seal)], [get(numBytes)]),
  get(sum),
].flat()

export interface Summing {
  /** The module's memory, of a size that never changes. */
  readonly memory: ArrayBuffer
  /** Of `numBytes` bytes from `at` on, with the key at `keys`: places in the memory. */
  readonly sum: (at: number, numBytes: number, keys: number, seal: number) => bigint
}

const pageBytes = 2 ** 16

/** Makes the module, with a memory of at least so many bytes. */
export function openSumming(memoryBytes: number): Summing {
  const signature = [0x60, 4, i32, i32, i32, i32, 1, i64]
  const numPages = Math.ceil(memoryBytes / pageBytes)
  const size = [...unsigned(numPages), ...unsigned(numPages)]
  const code = [...locals, ...body, 0x0b]
  const { Module, Instance } = webAssembly()
  const module = new Module(
    Uint8Array.from([
      ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      ...section(1, [1, ...signature]),
      ...section(3, [1, 0]),
      ...section(5, [1, 1, ...size]),
      ...section(7, [2, ...name('sum'), 0, 0, ...name('memory'), 2, 0]),
      ...section(10, [1, ...unsigned(code.length), ...code]),
    ]),
  )
  const { sum, memory } = new Instance(module).exports
  return { memory: memory.buffer, sum }
}

/** What of WebAssembly is used here: Node's own types do not have it. */
interface WebAssemblyParts {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object) => {
    readonly exports: { readonly sum: Summing['sum']; readonly memory: { readonly buffer: ArrayBuffer } }
  }
}

const webAssembly = (): WebAssemblyParts =>
  (globalThis as unknown as { readonly WebAssembly: WebAssemblyParts }).WebAssembly

const section = (id: number, content: Code): Code => [id, ...unsigned(content.length), ...content]
const name = (text: string): Code => [text.length, ...Buffer.from(text)]

/** LEB128, as WebAssembly writes its numbers. */
function unsigned(value: number): Code {
  return value < 128 ? [value] : [(value % 128) | 128, ...unsigned(Math.floor(value / 128))]
}

function signed(value: number): Code {
  return value < 64 ? [value] : [(value % 128) | 128, ...signed(Math.floor(value / 128))]
}
