import { constants } from 'node:fs'
import { open, readFile, unlink } from 'node:fs/promises'
import { isAlive } from './disk-files.ts'

export interface StoreLock {
  release(): Promise<void>
}

/** Locks of this process: its number alone does not tell, as a container's first life may have had the same one. */
const ownLocks = new Set<string>()

/** Undefined while another process, or another engine of this one, has it. A dead process's lock is taken over. */
export async function lockStore(path: string): Promise<StoreLock | undefined> {
  if (ownLocks.has(path)) return undefined
  ownLocks.add(path)
  const isTaken = await take(path).catch(() => false)
  if (!isTaken) {
    ownLocks.delete(path)
    return undefined
  }
  return {
    async release() {
      await unlink(path).catch(() => undefined)
      ownLocks.delete(path)
    },
  }
}

async function take(path: string): Promise<boolean> {
  const owner = await readFile(path, 'utf8').catch(() => '')
  if (owner !== '' && (await isHeld(owner))) return false
  if (owner !== '') await unlink(path)
  const { O_WRONLY, O_CREAT, O_EXCL } = constants
  const handle = await open(path, O_WRONLY | O_CREAT | O_EXCL, 0o600)
  await handle.writeFile(`${process.pid} ${await startOf(process.pid)}`)
  await handle.close()
  return true
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
