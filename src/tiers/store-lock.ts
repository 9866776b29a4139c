import { constants } from 'node:fs'
import { open, readFile, stat, unlink, type FileHandle } from 'node:fs/promises'
import { isAlive } from './disk-files.ts'

export interface StoreLock {
  release(): Promise<void>
}

/** Locks of this process: its number alone does not tell, as a container's first life may have had the same one. */
const ownLocks = new Set<string>()

/** A lock in which nothing is written yet is somebody's who is about to; later it is one that a full disk left behind. */
const writtenWithinMillis = 10_000

/**
 * Undefined while another process, or another engine of this one, has it. A dead process's lock is taken over.
 * Rejects with the system's error where the file cannot be written; nothing is left then.
 */
export async function lockStore(path: string): Promise<StoreLock | undefined> {
  if (ownLocks.has(path)) return undefined
  ownLocks.add(path)
  let isTaken = false
  try {
    isTaken = await take(path)
  } finally {
    if (!isTaken) ownLocks.delete(path)
  }
  if (!isTaken) return undefined
  return {
    async release() {
      await unlink(path).catch(() => undefined)
      ownLocks.delete(path)
    },
  }
}

async function take(path: string): Promise<boolean> {
  const owner = await readFile(path, 'utf8').catch(() => undefined)
  if (owner !== undefined && (owner === '' ? await isNew(path) : await isHeld(owner))) return false
  if (owner !== undefined) await unlink(path).catch(() => undefined)
  const handle = await create(path)
  if (handle === undefined) return false
  try {
    await handle.writeFile(`${process.pid} ${await startOf(process.pid)}`)
  } catch (error) {
    await unlink(path).catch(() => undefined)
    throw error
  } finally {
    await handle.close()
  }
  return true
}

/** Undefined where somebody else was first. */
async function create(path: string): Promise<FileHandle | undefined> {
  const { O_WRONLY, O_CREAT, O_EXCL } = constants
  return open(path, O_WRONLY | O_CREAT | O_EXCL, 0o600).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EEXIST') return undefined
    throw error
  })
}

async function isNew(path: string): Promise<boolean> {
  const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: 0 }))
  return Date.now() - mtimeMs < writtenWithinMillis
}

async function isHeld(owner: string): Promise<boolean> {
  const [pid, start] = owner.split(' ')
  const number = Number(pid)
  if (!Number.isSafeInteger(number) || number <= 0 || number === process.pid || !isAlive(number)) return false
  return (await startOf(number)) === start
}

/** When a process began, in the system's own count: tells two of one number apart. Empty where it cannot be told. */
async function startOf(pid: number): Promise<string> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  // The name before may contain anything, brackets too.
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? ''
}
