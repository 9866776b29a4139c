/** A read-only mapping of a file: pages are read when touched and belong to the page cache, not to the process. */
import { closeSync, fstatSync, openSync } from 'node:fs'
import koffi from 'koffi'
import type { Pointer } from './functions.ts'

const PROT_READ = 1
const MAP_PRIVATE = 2

export interface MemoryMap {
  readonly address: Pointer
  readonly numBytes: number
  close(): void
}

/** Maps a whole file; undefined where the platform has no mmap (Windows) or refuses it. */
export function mapFile(path: string): MemoryMap | undefined {
  const libc = { linux: 'libc.so.6', darwin: 'libSystem.B.dylib' }[process.platform as string]
  if (libc === undefined) return undefined
  const library = koffi.load(libc)
  const mmap = library.func('int64_t mmap(uintptr_t, size_t, int, int, int, int64_t)')
  const munmap = library.func('int munmap(int64_t, size_t)')
  const file = openSync(path, 'r')
  try {
    const numBytes = fstatSync(file).size
    const address = Number(mmap(0, numBytes, PROT_READ, MAP_PRIVATE, file, 0))
    if (address === -1) return undefined
    return { address, numBytes, close: () => munmap(address, numBytes) }
  } finally {
    closeSync(file)
  }
}

/** A JavaScript view of native memory. Invalid once the memory is freed. */
export function viewMemory(address: Pointer, numBytes: number): ArrayBuffer {
  return koffi.view(BigInt(address), numBytes)
}
