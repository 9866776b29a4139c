import koffi from 'koffi'

/**
 * Takes room for a whole file at once, without writing it. False where the platform or the file system cannot.
 * @throws {Error} with code ENOSPC when there is not enough.
 */
export function reserveFileSpace(file: number, numBytes: number): boolean {
  if (process.platform !== 'linux') return false
  const fallocate = koffi.load('libc.so.6').func('int fallocate(int, int, int64_t, int64_t)')
  if (fallocate(file, 0, 0, numBytes) === 0) return true
  const fault = koffi.errno()
  if (fault !== koffi.os.errno['ENOSPC'] && fault !== koffi.os.errno['EDQUOT']) return false
  throw Object.assign(new Error(`no room for ${numBytes} bytes`), { code: 'ENOSPC' })
}
