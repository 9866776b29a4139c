/** What the disk tier needs of a file; tests put a faulty one in its place. */
import { read, write } from 'node:fs'
import { promisify } from 'node:util'

export interface TierFile {
  /** Writes at an offset; answers how many bytes went in, which may be fewer. Rejects as the file system does. */
  write(bytes: Uint8Array, offset: number): Promise<number>
  /** Reads at an offset; answers how many bytes came, fewer at the end of the file. */
  read(bytes: Uint8Array, offset: number): Promise<number>
}

const writeAt = promisify(write)
const readAt = promisify(read)

/** A file that somebody else opened, and closes, in any thread of this process. */
export function tierFile(file: number): TierFile {
  return {
    write: async (bytes, offset) => (await writeAt(file, bytes, 0, bytes.length, offset)).bytesWritten,
    read: async (bytes, offset) => (await readAt(file, bytes, 0, bytes.length, offset)).bytesRead,
  }
}

/** @throws when it makes no progress, or as the file does. */
export async function writeAll(file: TierFile, bytes: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const count = await file.write(bytes.subarray(done), offset + done)
    if (count <= 0) throw new Error(`the file took ${done} of ${bytes.length} bytes`)
    done += count
  }
}

/** @throws at the end of the file, or as the file does. */
export async function readAll(file: TierFile, bytes: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const count = await file.read(bytes.subarray(done), offset + done)
    if (count <= 0) throw new Error(`the file had ${done} of ${bytes.length} bytes`)
    done += count
  }
}
