import { expect, it } from 'vitest'

import { openLibraries } from '../ggml/library.ts'
import { findTensorType, rowBytes, tensorTypes, tensorTypeName } from './gguf-types.ts'

const { base } = openLibraries({ device: 'cpu' })
const ggml = {
  name: base.func('const char *ggml_type_name(int)'),
  bytes: base.func('size_t ggml_type_size(int)'),
  blockSize: base.func('int64_t ggml_blck_size(int)'),
}
/** `GGML_TYPE_COUNT` of the version that is bound. */
const NUM_TYPES = 43

it('the table of tensor types is the one of the library, type by type', () => {
  const fromLibrary = Array.from({ length: NUM_TYPES }, (_, id) => ({
    id,
    // The library calls removed types "TYPE_... REMOVED" and gives them no size.
    name: String(ggml.name(id)).toUpperCase(),
    blockSize: Number(ggml.blockSize(id)),
    blockBytes: Number(ggml.bytes(id)),
  })).filter(({ blockBytes }) => blockBytes > 0)
  const ours = [...tensorTypes.values()].map(({ id, name, blockSize, blockBytes }) => {
    return { id, name, blockSize, blockBytes }
  })
  expect(ours.length).toBeGreaterThan(30)
  expect(ours).toEqual(fromLibrary)
})

it('finds a type by name in any case', () => {
  expect(findTensorType('q4_k')?.id).toBe(12)
  expect(findTensorType('Q4_K')?.id).toBe(12)
  expect(findTensorType('Q4_9')).toBeUndefined()
  expect(tensorTypeName(8)).toBe('Q8_0')
  expect(tensorTypeName(4)).toBe('type 4')
})

it('counts the bytes of a row in blocks', () => {
  const q4 = findTensorType('Q4_0')
  expect(q4 && rowBytes(q4, 896)).toBe(504)
})
