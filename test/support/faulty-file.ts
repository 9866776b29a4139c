import { readdirSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import type { RandomStream } from '../../src/core/random.ts'
import type { TierFile } from '../../src/tiers/tier-file.ts'

/** Probabilities of each fault, once per call. */
export interface FileFaults {
  /** The call takes, or gives, fewer bytes than it could. */
  readonly short: number
  /** A write fails half-way with ENOSPC. */
  readonly full: number
  /** A write says that it is done, and only its first half is. */
  readonly torn: number
  /** One bit of what was read is wrong. */
  readonly flip: number
  /** A read fails with EIO. */
  readonly broken: number
  /** The call takes some turns of the event loop. */
  readonly slow: number
}

export const noFaults: FileFaults = { short: 0, full: 0, torn: 0, flip: 0, broken: 0, slow: 0 }

/** A file system that fails as real ones do, over a real file. */
export class FaultyFile implements TierFile {
  numFaults = 0
  readonly #file: TierFile
  readonly #random: RandomStream
  readonly #faults: FileFaults

  constructor(file: TierFile, random: RandomStream, faults: FileFaults) {
    this.#file = file
    this.#random = random
    this.#faults = faults
  }

  async write(bytes: Uint8Array, offset: number): Promise<number> {
    await this.#delay()
    const half = bytes.subarray(0, bytes.length >> 1)
    if (this.#happens('full')) {
      await this.#file.write(half, offset)
      throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
    }
    if (this.#happens('torn')) {
      await this.#file.write(half, offset)
      return bytes.length
    }
    return this.#file.write(this.#happens('short') ? bytes.subarray(0, 1 + half.length) : bytes, offset)
  }

  async read(bytes: Uint8Array, offset: number): Promise<number> {
    await this.#delay()
    if (this.#happens('broken')) throw Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' })
    const wanted = this.#happens('short') ? bytes.subarray(0, 1 + (bytes.length >> 1)) : bytes
    const count = await this.#file.read(wanted, offset)
    if (count > 0 && this.#happens('flip')) {
      const at = this.#random.below(count)
      wanted[at]! ^= 1 << this.#random.below(8)
    }
    return count
  }

  #happens(fault: keyof FileFaults): boolean {
    const happens = this.#random.next() < this.#faults[fault]
    if (happens && fault !== 'slow') this.numFaults += 1
    return happens
  }

  async #delay(): Promise<void> {
    if (!this.#happens('slow')) return
    for (let turns = this.#random.below(20); turns >= 0; turns -= 1) await setImmediate()
  }
}

/** Files of KV in a folder that this process still has open; none where the system does not tell. */
export function openKvFiles(dir: string): string[] {
  if (process.platform !== 'linux') return []
  return readdirSync('/proc/self/fd').flatMap((number) => {
    try {
      const path = readlinkSync(join('/proc/self/fd', number))
      return path.startsWith(dir) ? [path] : []
    } catch {
      // The one with which this folder itself was read.
      return []
    }
  })
}
