/**
 * The ggml functions Switchyard calls, as JavaScript functions. Every pointer crosses as a plain number: user-space
 * addresses fit 53 bits on all supported platforms. Signatures follow ggml.h and ggml-backend.h of ggml 0.25.1.
 */
import koffi from 'koffi'

/** The address of something that ggml owns: a tensor, graph, buffer, backend. 0 is NULL. */
export type Pointer = number

type Library = ReturnType<typeof koffi.load>

/** A native function: integers, floats and pointers are numbers. */
type Native<Args extends unknown[], Result> = ((...args: Args) => Result) & {
  async: (...args: [...Args, (error: Error | null, result: Result) => void]) => void
}

const initParams = koffi.struct('ggml_init_params', {
  mem_size: 'size_t',
  mem_buffer: 'uintptr_t',
  no_alloc: 'bool',
})

type N = number

/** Declares what is needed of libggml-base and libggml. Throws when a symbol is missing. */
export function bindGgml(base: Library, ggml: Library) {
  const bind = <Args extends unknown[], Result>(
    library: Library,
    result: string,
    name: string,
    args: string,
  ) =>
    library.func(`${result} ${name}(${args.replaceAll('*', 'uintptr_t')})`) as unknown as Native<Args, Result>
  const op = <Args extends unknown[]>(name: string, args: string) =>
    bind<Args, Pointer>(base, 'uintptr_t', name, args)
  return {
    init: base.func('ggml_init', 'uintptr_t', [initParams]) as unknown as (params: {
      mem_size: number
      mem_buffer: Pointer
      no_alloc: boolean
    }) => Pointer,
    free: bind<[Pointer], void>(base, 'void', 'ggml_free', '*'),
    tensorOverhead: bind<[], N>(base, 'size_t', 'ggml_tensor_overhead', ''),
    graphOverhead: bind<[N, boolean], N>(base, 'size_t', 'ggml_graph_overhead_custom', 'size_t, bool'),
    newGraph: op<[Pointer, N, boolean]>('ggml_new_graph_custom', '*, size_t, bool'),
    expand: bind<[Pointer, Pointer], void>(base, 'void', 'ggml_build_forward_expand', '*, *'),
    rowSize: bind<[N, N], N>(base, 'size_t', 'ggml_row_size', 'int, int64_t'),

    newTensor1d: op<[Pointer, N, N]>('ggml_new_tensor_1d', '*, int, int64_t'),
    newTensor2d: op<[Pointer, N, N, N]>('ggml_new_tensor_2d', '*, int, int64_t, int64_t'),
    view1d: op<[Pointer, Pointer, N, N]>('ggml_view_1d', '*, *, int64_t, size_t'),
    view2d: op<[Pointer, Pointer, N, N, N, N]>('ggml_view_2d', '*, *, int64_t, int64_t, size_t, size_t'),
    view3d: op<[Pointer, Pointer, N, N, N, N, N, N]>(
      'ggml_view_3d',
      '*, *, int64_t, int64_t, int64_t, size_t, size_t, size_t',
    ),
    view4d: op<[Pointer, Pointer, N, N, N, N, N, N, N, N]>(
      'ggml_view_4d',
      '*, *, int64_t, int64_t, int64_t, int64_t, size_t, size_t, size_t, size_t',
    ),
    getRows: op<[Pointer, Pointer, Pointer]>('ggml_get_rows', '*, *, *'),
    setRows: op<[Pointer, Pointer, Pointer, Pointer]>('ggml_set_rows', '*, *, *, *'),
    copy: op<[Pointer, Pointer, Pointer]>('ggml_cpy', '*, *, *'),
    add: op<[Pointer, Pointer, Pointer]>('ggml_add', '*, *, *'),
    mul: op<[Pointer, Pointer, Pointer]>('ggml_mul', '*, *, *'),
    mulMat: op<[Pointer, Pointer, Pointer]>('ggml_mul_mat', '*, *, *'),
    rmsNorm: op<[Pointer, Pointer, N]>('ggml_rms_norm', '*, *, float'),
    rope: op<[Pointer, Pointer, Pointer, Pointer, N, N, N, N, N, N, N, N, N]>(
      'ggml_rope_ext',
      '*, *, *, *, int, int, int, float, float, float, float, float, float',
    ),
    swiglu: op<[Pointer, Pointer]>('ggml_swiglu', '*, *'),
    swigluSplit: op<[Pointer, Pointer, Pointer]>('ggml_swiglu_split', '*, *, *'),
    softMax: op<[Pointer, Pointer, Pointer, N, N]>('ggml_soft_max_ext', '*, *, *, float, float'),
    topK: op<[Pointer, Pointer, N]>('ggml_top_k', '*, *, int'),
    flashAttention: op<[Pointer, Pointer, Pointer, Pointer, Pointer, N, N, N]>(
      'ggml_flash_attn_ext',
      '*, *, *, *, *, float, float, float',
    ),

    deviceCount: bind<[], N>(ggml, 'size_t', 'ggml_backend_dev_count', ''),
    deviceAt: bind<[N], Pointer>(ggml, 'uintptr_t', 'ggml_backend_dev_get', 'size_t'),
    deviceByType: bind<[N], Pointer>(ggml, 'uintptr_t', 'ggml_backend_dev_by_type', 'int'),
    deviceName: bind<[Pointer], string>(base, 'const char*', 'ggml_backend_dev_name', '*'),
    deviceDescription: bind<[Pointer], string>(base, 'const char*', 'ggml_backend_dev_description', '*'),
    deviceType: bind<[Pointer], N>(base, 'int', 'ggml_backend_dev_type', '*'),
    deviceInit: bind<[Pointer, Pointer], Pointer>(base, 'uintptr_t', 'ggml_backend_dev_init', '*, *'),
    deviceRegistry: bind<[Pointer], Pointer>(base, 'uintptr_t', 'ggml_backend_dev_backend_reg', '*'),
    deviceBufferType: bind<[Pointer], Pointer>(base, 'uintptr_t', 'ggml_backend_dev_buffer_type', '*'),
    registryName: bind<[Pointer], string>(base, 'const char*', 'ggml_backend_reg_name', '*'),
    procAddress: bind<[Pointer, string], Pointer>(
      base,
      'uintptr_t',
      'ggml_backend_reg_get_proc_address',
      '*, str',
    ),
    bufferTypeName: bind<[Pointer], string>(base, 'const char*', 'ggml_backend_buft_name', '*'),
    bufferTypeAlignment: bind<[Pointer], N>(base, 'size_t', 'ggml_backend_buft_get_alignment', '*'),
    bufferTypeAllocSize: bind<[Pointer, Pointer], N>(
      base,
      'size_t',
      'ggml_backend_buft_get_alloc_size',
      '*, *',
    ),
    bufferTypeIsHost: bind<[Pointer], boolean>(base, 'bool', 'ggml_backend_buft_is_host', '*'),
    allocBuffer: bind<[Pointer, N], Pointer>(
      base,
      'uintptr_t',
      'ggml_backend_buft_alloc_buffer',
      '*, size_t',
    ),
    bufferFromPointer: bind<[Pointer, N], Pointer>(
      base,
      'uintptr_t',
      'ggml_backend_cpu_buffer_from_ptr',
      '*, size_t',
    ),
    bufferBase: bind<[Pointer], Pointer>(base, 'uintptr_t', 'ggml_backend_buffer_get_base', '*'),
    bufferClear: bind<[Pointer, N], void>(base, 'void', 'ggml_backend_buffer_clear', '*, uint8_t'),
    bufferSetUsage: bind<[Pointer, N], void>(base, 'void', 'ggml_backend_buffer_set_usage', '*, int'),
    freeBuffer: bind<[Pointer], void>(base, 'void', 'ggml_backend_buffer_free', '*'),
    allocTensor: bind<[Pointer, Pointer, Pointer], N>(base, 'int', 'ggml_backend_tensor_alloc', '*, *, *'),
    setTensor: bind<[Pointer, Pointer, N, N], void>(
      base,
      'void',
      'ggml_backend_tensor_set',
      '*, *, size_t, size_t',
    ),
    getTensor: bind<[Pointer, Pointer, N, N], void>(
      base,
      'void',
      'ggml_backend_tensor_get',
      '*, *, size_t, size_t',
    ),
    /** Tensor, host memory, offset, bytes of a piece, pieces, bytes from piece to piece in the tensor and in memory. */
    setTensor2d: bind<[Pointer, Pointer, N, N, N, N, N], void>(
      base,
      'void',
      'ggml_backend_tensor_set_2d',
      '*, *, size_t, size_t, size_t, size_t, size_t',
    ),
    getTensor2d: bind<[Pointer, Pointer, N, N, N, N, N], void>(
      base,
      'void',
      'ggml_backend_tensor_get_2d',
      '*, *, size_t, size_t, size_t, size_t, size_t',
    ),
    copyTensor: bind<[Pointer, Pointer], void>(base, 'void', 'ggml_backend_tensor_copy', '*, *'),
    compute: bind<[Pointer, Pointer], N>(base, 'int', 'ggml_backend_graph_compute', '*, *'),
    freeBackend: bind<[Pointer], void>(base, 'void', 'ggml_backend_free', '*'),
  }
}

export type GgmlFunctions = ReturnType<typeof bindGgml>
