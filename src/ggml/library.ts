/**
 * Opens the ggml and llama libraries once per process and registers the backends beside them.
 * Which folder: `platform.ts`. Whether it is the build our bindings were written for: `layouts.ts`.
 */
import koffi, { type LibraryHandle } from 'koffi'

import { invariant, ServingError } from '../core/errors.ts'
import { checkGgmlLayouts, checkLlamaLayouts } from './layouts.ts'
import {
  findLibraryFile,
  findLibraryFolder,
  type ChosenDevice,
  type Device,
  type LibraryFolder,
  type LibraryName,
} from './platform.ts'

/** Handles to the shared libraries of one build. */
export interface GgmlLibraries {
  readonly dir: string
  /** What the folder is for: the device asked for, or the one `auto` chose. */
  readonly device: ChosenDevice
  /** Tensors, graphs, and what all backends share. */
  readonly base: LibraryHandle
  /** The backend registry. */
  readonly ggml: LibraryHandle
  /** Models, tokenizers, contexts. Opened and checked on first use. */
  readonly llama: LibraryHandle
}

export type { Device } from './platform.ts'

/**
 * koffi runs C functions on stacks of its own: by default 2 MiB, and 128 KiB for calls off the JavaScript thread, less
 * than a thread of the system has. Kernels and libllama's regular expressions were written for the latter.
 */
const synchronousStackBytes = 16 * 1024 * 1024
const asynchronousStackBytes = 8 * 1024 * 1024

let opened: GgmlLibraries | undefined

/**
 * Opens the libraries for a device, checks that they are the build we know, and registers their backends. One build
 * per process: the libraries share symbols, so a second folder is refused.
 * @throws {ServingError} LIBRARY_NOT_FOUND or LIBRARY_MISMATCH.
 */
export function openLibraries(options: { readonly device: Device }): GgmlLibraries {
  // Whatever is open serves `auto`, and every build carries the CPU's kernels.
  if (opened !== undefined && (options.device === 'auto' || options.device === 'cpu')) return opened
  const folder = findLibraryFolder({ device: options.device })
  if (opened === undefined) {
    opened = openFolder(folder)
    return opened
  }
  invariant(
    opened.dir === folder.dir,
    `One process runs one build of ggml: ${opened.dir} is open, ${folder.dir} was asked for`,
  )
  return opened
}

function openFolder(folder: LibraryFolder): GgmlLibraries {
  const { dir, device } = folder
  widenStacks()
  // Dependencies first: each library finds the one before it already loaded, on every platform's loader.
  const base = openLibrary(dir, 'ggml-base')
  checkGgmlLayouts(base)
  silenceLog(base, 'ggml_log_set', base)
  const ggml = openLibrary(dir, 'ggml')
  registerBackends(ggml, dir)

  let llama: LibraryHandle | undefined
  return {
    dir,
    device,
    base,
    ggml,
    get llama() {
      llama ??= openLlama(dir, base)
      return llama
    },
  }
}

/** Takes effect for stacks not made yet, so it must come before the first call. */
function widenStacks(): void {
  koffi.config({
    ...koffi.config(),
    sync_stack_size: synchronousStackBytes,
    async_stack_size: asynchronousStackBytes,
  })
}

function openLlama(dir: string, base: LibraryHandle): LibraryHandle {
  const llama = openLibrary(dir, 'llama')
  checkLlamaLayouts(llama)
  silenceLog(llama, 'llama_log_set', base)
  return llama
}

function openLibrary(dir: string, name: LibraryName): LibraryHandle {
  const path = findLibraryFile(dir, name)
  if (path === undefined) throw new ServingError('LIBRARY_NOT_FOUND', `There is no library ${name} in ${dir}`)
  try {
    return koffi.load(path, { global: true })
  } catch (cause) {
    throw new ServingError('LIBRARY_NOT_FOUND', `Cannot open ${path}: ${String(cause)}`, { cause })
  }
}

/** The registry belongs to the process: another thread's environment may have filled it already. */
function registerBackends(ggml: LibraryHandle, dir: string): void {
  const count = ggml.func('ggml_backend_reg_count', 'size_t', [])
  if (Number(count()) === 0) ggml.func('ggml_backend_load_all_from_path', 'void', ['str'])(dir)
  if (Number(count()) > 0) return
  throw new ServingError(
    'LIBRARY_NOT_FOUND',
    `The libraries in ${dir} have no backend that runs on this machine`,
  )
}

/**
 * Takes the libraries' log off stderr, unless `SWITCHYARD_GGML_LOG` is set. They log from worker threads, where a
 * JavaScript callback would wait for the event loop and might block for ever; so the callback is a C function that
 * ignores its arguments and returns a constant, which every supported calling convention allows.
 */
function silenceLog(library: LibraryHandle, setter: string, base: LibraryHandle): void {
  if (process.env['SWITCHYARD_GGML_LOG']) return
  const harmless: unknown = base.symbol('ggml_tensor_overhead')
  library.func(setter, 'void', ['void *', 'void *'])(harmless, null)
}
