/** The numbers of the GGUF format: tensor types as in `ggml.h`, metadata value types as in `gguf.h`. */

export interface TensorType {
  /** ggml's number, as the file stores it and as ggml's functions take it. */
  readonly id: number
  readonly name: string
  /** Elements per block; the first dimension of a tensor is a multiple of it. */
  readonly blockSize: number
  readonly blockBytes: number
  /** Whether ggml multiplies by and looks up rows of this type: intermediate and integer types are no weights. */
  readonly isWeight: boolean
}

const rows: readonly (readonly [
  id: number,
  name: string,
  blockSize: number,
  blockBytes: number,
  use?: 'other',
])[] = [
  [0, 'F32', 1, 4],
  [1, 'F16', 1, 2],
  [2, 'Q4_0', 32, 18],
  [3, 'Q4_1', 32, 20],
  [6, 'Q5_0', 32, 22],
  [7, 'Q5_1', 32, 24],
  [8, 'Q8_0', 32, 34],
  [9, 'Q8_1', 32, 36, 'other'],
  [10, 'Q2_K', 256, 84],
  [11, 'Q3_K', 256, 110],
  [12, 'Q4_K', 256, 144],
  [13, 'Q5_K', 256, 176],
  [14, 'Q6_K', 256, 210],
  [15, 'Q8_K', 256, 292, 'other'],
  [16, 'IQ2_XXS', 256, 66],
  [17, 'IQ2_XS', 256, 74],
  [18, 'IQ3_XXS', 256, 98],
  [19, 'IQ1_S', 256, 50],
  [20, 'IQ4_NL', 32, 18],
  [21, 'IQ3_S', 256, 110],
  [22, 'IQ2_S', 256, 82],
  [23, 'IQ4_XS', 256, 136],
  [24, 'I8', 1, 1, 'other'],
  [25, 'I16', 1, 2, 'other'],
  [26, 'I32', 1, 4, 'other'],
  [27, 'I64', 1, 8, 'other'],
  [28, 'F64', 1, 8, 'other'],
  [29, 'IQ1_M', 256, 56],
  [30, 'BF16', 1, 2],
  [34, 'TQ1_0', 256, 54],
  [35, 'TQ2_0', 256, 66],
  [39, 'MXFP4', 32, 17],
  [40, 'NVFP4', 64, 36],
  [41, 'Q1_0', 128, 18],
  [42, 'Q2_0', 64, 18],
]

/** By ggml's number. Numbers of types that ggml has removed are absent. */
export const tensorTypes: ReadonlyMap<number, TensorType> = new Map(
  rows.map(([id, name, blockSize, blockBytes, use]) => [
    id,
    { id, name, blockSize, blockBytes, isWeight: use === undefined },
  ]),
)

const typesByName = new Map([...tensorTypes.values()].map((type) => [type.name.toLowerCase(), type]))

/** `Q4_0`, in any case. */
export function findTensorType(name: string): TensorType | undefined {
  return typesByName.get(name.toLowerCase())
}

export const tensorTypeName = (id: number): string => tensorTypes.get(id)?.name ?? `type ${id}`

/** Bytes of `numElements` that lie in one row; a multiple of the block size is the caller's duty. */
export const rowBytes = (type: TensorType, numElements: number): number =>
  (numElements / type.blockSize) * type.blockBytes

export type GgufNumberType = 'u8' | 'i8' | 'u16' | 'i16' | 'u32' | 'i32' | 'f32' | 'u64' | 'i64' | 'f64'
export type GgufScalarType = GgufNumberType | 'bool' | 'string'

/** Index: the number in the file. */
export const valueTypes: readonly (GgufScalarType | 'array')[] = [
  'u8',
  'i8',
  'u16',
  'i16',
  'u32',
  'i32',
  'f32',
  'bool',
  'string',
  'array',
  'u64',
  'i64',
  'f64',
]

/** Bytes of a value of fixed size. */
export const scalarBytes: Readonly<Record<GgufNumberType | 'bool', number>> = {
  u8: 1,
  i8: 1,
  u16: 2,
  i16: 2,
  u32: 4,
  i32: 4,
  f32: 4,
  bool: 1,
  u64: 8,
  i64: 8,
  f64: 8,
}

export interface GgufScalar {
  readonly kind: 'scalar'
  readonly type: GgufScalarType
  /** A bigint where a 64-bit integer does not fit a number. */
  readonly value: number | bigint | boolean | string
}

/** Where an array lies in the file; decoded on demand. */
export interface GgufArray {
  readonly kind: 'array'
  readonly elementType: GgufScalarType
  readonly count: number
  readonly offset: number
  readonly numBytes: number
}

export type GgufValue = GgufScalar | GgufArray

export interface GgufTensor {
  readonly name: string
  /** ggml's number of the type; see `tensorTypes`. */
  readonly type: number
  /** In ggml's order: the first dimension lies adjacent in memory. */
  readonly shape: readonly number[]
  /** From the start of the file. */
  readonly offset: number
  readonly numBytes: number
}
