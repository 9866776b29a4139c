/**
 * Files of disk tiers in their folder. One that ends with its process has no name from the moment it is open, where
 * the system allows that: nothing is left of it, however the process ends. What is left elsewhere is removed by the
 * next process that comes by.
 */
import { constants } from 'node:fs'
import { mkdir, open, readdir, stat, unlink, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'

const privateName = /^switchyard-kv-(\d+)-\d+\.blocks$/
const keptName = /^switchyard-kv-[0-9a-f]{32}\.(blocks|index)$/
/** Kept blocks of models and settings that were not seen for so long are removed. */
const forgottenAfterMillis = 14 * 24 * 3600 * 1000

let numFiles = 0

/** Opens a file that nobody else has, and that ends with this process. */
export async function openPrivate(dir: string): Promise<FileHandle> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const path = join(dir, `switchyard-kv-${process.pid}-${numFiles++}.blocks`)
  const { O_RDWR, O_CREAT, O_TRUNC } = constants
  const handle = await open(path, O_RDWR | O_CREAT | O_TRUNC, 0o600)
  if (process.platform !== 'win32') await unlink(path)
  return handle
}

/** Opens, or creates, a file that stays. */
export async function openKept(path: string): Promise<FileHandle> {
  return open(path, constants.O_RDWR | constants.O_CREAT, 0o600)
}

/** Removes files of processes that are gone, and kept ones that nobody came back for. What cannot be removed stays. */
export async function removeStale(dir: string, now: number): Promise<void> {
  const names = await readdir(dir).catch(() => [])
  await Promise.allSettled(
    names.map(async (name) => {
      const pid = privateName.exec(name)?.[1]
      const path = join(dir, name)
      const isGone = pid !== undefined && Number(pid) !== process.pid && !isAlive(Number(pid))
      const isForgotten = keptName.test(name) && now - (await stat(path)).mtimeMs > forgottenAfterMillis
      if (isGone || isForgotten) await unlink(path)
    }),
  )
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

export interface Reserved {
  readonly numBytes: number
  /** Less than was asked for. */
  readonly isLess: boolean
}

/**
 * Takes room for `numBytes`, or for half, a quarter and so on where that is too much. Where the file system cannot,
 * the file is only made so long, and writing to it may fail. Undefined when there is no room for `least` bytes.
 */
export async function reserve(
  handle: FileHandle,
  { numBytes, least }: { readonly numBytes: number; readonly least: number },
  reserveSpace: (file: number, numBytes: number) => boolean,
): Promise<Reserved | undefined> {
  for (let wanted = numBytes; wanted >= least; wanted = Math.floor(wanted / 2)) {
    try {
      if (!reserveSpace(handle.fd, wanted)) await handle.truncate(wanted)
      return { numBytes: wanted, isLess: wanted < numBytes }
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code !== 'ENOSPC' && code !== 'EFBIG' && code !== 'EDQUOT') throw error
      // What was taken before it failed is given back.
      await handle.truncate(0)
    }
  }
  return undefined
}
