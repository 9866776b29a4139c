/**
 * One ggml backend (the CPU, or a GPU through CUDA, Vulkan or Metal): its device, its buffers, its threads, and the
 * call that computes a graph off the JavaScript thread.
 */
import koffi from 'koffi'
import { ServingError } from '../core/errors.ts'
import { bindGgml, type GgmlFunctions, type Pointer } from './functions.ts'
import { addressOf } from './graph-context.ts'
import { openLibraries } from './library.ts'
import type { ChosenDevice, Device } from './platform.ts'

const deviceTypeCpu = 0
const deviceTypeGpu = 1
const deviceTypeIntegratedGpu = 2

export interface BackendOptions {
  readonly device: Device
  /** CPU worker threads, the calling one included. */
  readonly numThreads: number
  /** Take ggml's reference paths, whose rounding does not depend on the batch. CPU only. */
  readonly referenceKernels: boolean
}

export class Backend {
  readonly ggml: GgmlFunctions
  readonly device: Pointer
  readonly isCpu: boolean
  /** Whose libraries it uses: the same ones are open in the whole process. */
  readonly libraryDevice: ChosenDevice
  /** What a person calls the device. */
  readonly description: string
  /** The buffer type of device memory. */
  readonly bufferType: Pointer
  /** The CPU's type that reorders weights for its matrix kernels; undefined elsewhere. */
  readonly repackBufferType: Pointer | undefined
  readonly #backend: Pointer
  readonly #freeThreads: () => void
  readonly #buffers: Pointer[] = []

  constructor(options: BackendOptions) {
    const libraries = openLibraries({ device: options.device })
    this.libraryDevice = libraries.device
    this.ggml = bindGgml(libraries.base, libraries.ggml)
    this.device = pickDevice(this.ggml, options.device)
    this.isCpu = this.ggml.deviceType(this.device) === deviceTypeCpu
    this.description = `${this.ggml.deviceName(this.device)} (${this.ggml.deviceDescription(this.device)})`
    this.#backend = this.ggml.deviceInit(this.device, 0)
    if (this.#backend === 0) {
      throw new ServingError('LIBRARY_NOT_FOUND', `the device ${this.description} could not be started`)
    }
    this.bufferType = this.ggml.deviceBufferType(this.device)
    this.repackBufferType = this.isCpu ? this.#findRepackBufferType() : undefined
    this.#freeThreads = this.isCpu ? this.#startThreads(options) : () => undefined
  }

  /**
   * A buffer of device memory, freed with the backend. `remedy`: what a user can do when there is no room for it.
   * @throws {ServingError} INVALID_CONFIG when memory is short.
   */
  allocate(numBytes: number, bufferType: Pointer = this.bufferType, remedy = ''): Pointer {
    const buffer = this.ggml.allocBuffer(bufferType, numBytes)
    if (buffer === 0) {
      const size = (numBytes / 2 ** 20).toFixed(0)
      const problem = `${this.description} has no room for a buffer of ${size} MiB`
      throw new ServingError('INVALID_CONFIG', remedy === '' ? problem : `${problem}: ${remedy}`)
    }
    this.#buffers.push(buffer)
    return buffer
  }

  /** Makes host memory usable by the CPU backend without a copy. The memory must outlive the backend. */
  adopt(address: Pointer, numBytes: number): Pointer {
    const buffer = this.ggml.bufferFromPointer(address, numBytes)
    this.#buffers.push(buffer)
    return buffer
  }

  /** Computes a graph on ggml's threads; JavaScript goes on meanwhile. */
  compute(graph: Pointer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.ggml.compute.async(this.#backend, graph, (error, status) => {
        if (error) reject(error)
        else if (status !== 0) reject(new Error(`ggml_backend_graph_compute returned ${status}`))
        else resolve()
      })
    })
  }

  close(): void {
    for (const buffer of this.#buffers) this.ggml.freeBuffer(buffer)
    this.ggml.freeBackend(this.#backend)
    this.#freeThreads()
  }

  #findRepackBufferType(): Pointer | undefined {
    const find = this.#procedure('ggml_backend_dev_get_extra_bufts', 'uintptr_t find_bufts(uintptr_t)')
    const list = find === undefined ? 0 : Number(find(this.device))
    if (list === 0) return undefined
    for (let index = 0; ; index++) {
      const type = Number(koffi.decode(BigInt(list + index * 8), 'uintptr_t'))
      if (type === 0) return undefined
      if (this.ggml.bufferTypeName(type) === 'CPU_REPACK') return type
    }
  }

  /** A pool that outlives the steps: starting threads for each graph costs more than small graphs themselves. */
  #startThreads(options: BackendOptions): () => void {
    const create = this.#procedure('ggml_threadpool_new', 'uintptr_t threadpool_new(uintptr_t)')
    const free = this.#procedure('ggml_threadpool_free', 'void threadpool_free(uintptr_t)')
    const attach = this.#procedure(
      'ggml_backend_cpu_set_threadpool',
      'void set_threadpool(uintptr_t, uintptr_t)',
    )
    const setThreads = this.#procedure('ggml_backend_set_n_threads', 'void set_threads(uintptr_t, int)')
    setThreads?.(this.#backend, options.numThreads)
    if (options.referenceKernels) {
      this.#procedure('ggml_backend_cpu_set_use_ref', 'void set_use_ref(uintptr_t, bool)')?.(
        this.#backend,
        true,
      )
    }
    if (create === undefined || free === undefined || attach === undefined) return () => undefined
    const pool = Number(create(addressOf(threadPoolParams(options.numThreads))))
    attach(this.#backend, pool)
    return () => free(pool)
  }

  #procedure(name: string, prototype: string): ((...args: unknown[]) => unknown) | undefined {
    const address = this.ggml.procAddress(this.ggml.deviceRegistry(this.device), name)
    if (address === 0) return undefined
    const type = prototypes.get(prototype) ?? koffi.proto(prototype)
    prototypes.set(prototype, type)
    return (...args) => koffi.call(BigInt(address), type, ...args)
  }
}

const prototypes = new Map<string, ReturnType<typeof koffi.proto>>()

/** `struct ggml_threadpool_params`: a mask of 512 CPUs (none set: any), then the fields below. */
function threadPoolParams(numThreads: number): Buffer {
  const params = Buffer.alloc(528)
  params.writeInt32LE(numThreads, 512)
  params.writeInt32LE(0, 516) // priority: normal
  params.writeUInt32LE(50, 520) // polling before a worker sleeps, 0 to 100: ggml's own default
  return params
}

function pickDevice(ggml: GgmlFunctions, device: Device): Pointer {
  const devices = Array.from({ length: ggml.deviceCount() }, (_, index) => ggml.deviceAt(index))
  const isGpu = (candidate: Pointer) =>
    [deviceTypeGpu, deviceTypeIntegratedGpu].includes(ggml.deviceType(candidate)) &&
    (device === 'auto' || matches(ggml.registryName(ggml.deviceRegistry(candidate)), device))
  const gpu = device === 'cpu' ? undefined : devices.find(isGpu)
  if (gpu !== undefined) return gpu
  const cpu = devices.find((candidate) => ggml.deviceType(candidate) === deviceTypeCpu)
  if (cpu !== undefined && (device === 'cpu' || device === 'auto')) return cpu
  const names = devices.map((candidate) => ggml.deviceName(candidate)).join(', ') || 'none'
  const hint =
    device === 'vulkan'
      ? '; it passes over drivers that compute on the CPU, unless GGML_VK_VISIBLE_DEVICES names them'
      : ''
  throw new ServingError('LIBRARY_NOT_FOUND', `no ${device} device was found; ggml offers: ${names}${hint}`)
}

function matches(registry: string, device: Device): boolean {
  const names: Partial<Record<Device, string>> = { cuda: 'CUDA', vulkan: 'Vulkan', metal: 'MTL' }
  return registry.toLowerCase().startsWith((names[device] ?? device).toLowerCase())
}
