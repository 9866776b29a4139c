import { describe, expect, it } from 'vitest'

import { checkGgmlLayouts, checkLlamaLayouts } from './layouts.ts'
import { openLibraries } from './library.ts'

describe('openLibraries', () => {
  it('opens the build the bindings were written for, with a backend that runs here', () => {
    const libraries = openLibraries({ device: 'auto' })
    expect(libraries.base.func('ggml_version', 'str', [])()).toBe('0.25.1')
    expect(Number(libraries.ggml.func('ggml_backend_dev_count', 'size_t', [])())).toBeGreaterThan(0)
    expect(libraries.llama.func('llama_max_devices', 'size_t', [])()).toBeGreaterThan(0)
  })

  it('opens once per process', () => {
    const libraries = openLibraries({ device: 'auto' })
    expect(openLibraries({ device: 'auto' })).toBe(libraries)
    expect(openLibraries({ device: libraries.device })).toBe(libraries)
  })
})

describe('layout checks', () => {
  type Library = Parameters<typeof checkGgmlLayouts>[0]

  /** The real library with one function answering something else. */
  const altered = (library: Library, name: string, answer: unknown): Library =>
    new Proxy(library, {
      get: (target, key) =>
        key === 'func'
          ? (...definition: [string, string, string[]]) =>
              definition[0] === name ? () => answer : target.func(...definition)
          : Reflect.get(target, key),
    })
  const mismatch = expect.objectContaining({ code: 'LIBRARY_MISMATCH' })

  it('refuses another version', () => {
    const { base, llama } = openLibraries({ device: 'auto' })
    expect(() => checkGgmlLayouts(altered(base, 'ggml_version', '0.9.4'))).toThrow(/ggml version is 0.9.4/)
    expect(() => checkLlamaLayouts(altered(llama, 'llama_version', '0.4.9'))).toThrow(
      /llama version is 0.4.9/,
    )
  })

  it('refuses other tensors, types and operators', () => {
    const { base } = openLibraries({ device: 'auto' })
    for (const [name, answer] of [
      ['ggml_tensor_overhead', 400],
      ['ggml_type_size', 5],
      ['ggml_type_name', 'f64'],
      ['ggml_op_name', 'ADD'],
    ] as const) {
      expect(() => checkGgmlLayouts(altered(base, name, answer)), name).toThrow(mismatch)
    }
  })

  it('refuses other defaults and other sizes of parameter structs', () => {
    const { llama } = openLibraries({ device: 'auto' })
    const zeros = { words: new BigUint64Array(40) }
    expect(() => checkLlamaLayouts(altered(llama, 'llama_model_default_params', zeros))).toThrow(mismatch)
    expect(() => checkLlamaLayouts(altered(llama, 'llama_context_default_params', zeros))).toThrow(mismatch)
  })
})
