/**
 * Byte offsets inside `struct ggml_tensor` of ggml 0.25.1 (64-bit). Checked at load in `layouts.ts` through
 * `ggml_tensor_overhead()`; used to place and to patch tensors without a native call.
 */
export const tensorStruct = {
  size: 336,
  type: 0,
  buffer: 8,
  ne: 16,
  nb: 48,
  op: 80,
  opParams: 84,
  flags: 148,
  src: 152,
  viewSrc: 232,
  viewOffset: 240,
  data: 248,
  name: 256,
  extra: 320,
} as const

/** Byte offsets inside `struct ggml_cgraph` of the same version. */
export const graphStruct = { size: 96, numNodes: 4, nodes: 16, useCounts: 48, uid: 88 } as const

/** `enum ggml_type` values that the executor itself uses. */
export const ggmlType = { f32: 0, f16: 1, q4_0: 2, q8_0: 8, i8: 24, i32: 26, i64: 27 } as const
