/** Opens the tiers that the settings name; what cannot be had is left out with one line in the log. */
import { mkdir } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import type { KvTiers } from '../kvcache/kv-tiers.ts'
import { openKept, openPrivate, removeStale, reserve } from './disk-files.ts'
import type { KeptIndex } from './kept-index.ts'
import { KeptStore } from './kept-store.ts'
import type { DiskPlace, TierPlace } from './tier-place.ts'

/** Plain data: it crosses to the engine's process. */
export interface TierOptions {
  /** Memory of the host for blocks; 0: none. */
  readonly hostBytes: number
  /** Size of the file; 0: none. */
  readonly diskBytes: number
  readonly diskDir: string
  /** The file outlives the process. */
  readonly diskKeep: boolean
  /** For comparisons: blocks move one by one, and no step begins while any is on its way. */
  readonly isBlockwise?: boolean
}

export interface TierEnvironment {
  readonly bytesPerBlock: number
  /** 32 bytes of all that the content of a block depends on besides its tokens. */
  readonly identity: Uint8Array
  readonly log: (line: string) => void
  /** Takes room in a file; false where that cannot be done. @throws with code ENOSPC. */
  readonly reserveSpace: (file: number, numBytes: number) => boolean
  /** Milliseconds since 1970, for the age of files. */
  readonly now: number
}

/** A tier of fewer blocks is of no use. */
const leastSlots = 4
/** The bookkeeping of a slot is about 75 bytes. */
const mostSlots = 2 ** 21

/** What keeps the tiers' blocks, and what is known of them; who moves the blocks makes `Tier`s of `places`. */
export class OpenTiers {
  readonly places: readonly TierPlace[]
  readonly #disk: OpenDisk | undefined

  constructor(places: readonly TierPlace[], disk: OpenDisk | undefined) {
    this.places = places
    this.#disk = disk
  }

  /** What keys must be made with, so that kept blocks are found; undefined: as you like. */
  get seed(): number | undefined {
    return this.#disk?.index?.seed
  }

  /** The tier that outlives the process. */
  get keptTier(): number | undefined {
    return this.#disk?.store && this.#diskTier
  }

  /** Tells the books what the last process kept. Returns how many blocks. */
  restore(books: KvTiers): number {
    if (this.#disk?.index === undefined) return 0
    const { place, index } = this.#disk
    const directory = books.directory(this.#diskTier)
    const ranked = index.blocks.map((block, rank) => ({
      ...block,
      priority: (rank + 1) / (index.blocks.length + 1),
    }))
    let numBlocks = 0
    for (const { slot, key, checksum, priority } of ranked.toSorted((a, b) => a.slot - b.slot)) {
      if (slot >= place.checksums.length || !directory.restore(slot, key, priority)) continue
      place.checksums[slot] = checksum
      numBlocks += 1
    }
    return numBlocks
  }

  /** The books changed. `seed`: what keys are made with. */
  noteChange(books: KvTiers, seed: number): void {
    this.#disk?.store?.noteChange(() => this.#indexOf(books, seed))
  }

  /** To be called when nothing is under way. */
  async close(books: KvTiers | undefined, seed: number): Promise<void> {
    await this.#disk?.handle.close()
    await this.#disk?.store?.close(books && this.#indexOf(books, seed))
  }

  /** The disk tier is the last one. */
  get #diskTier(): number {
    return this.places.length - 1
  }

  #indexOf(books: KvTiers, seed: number): KeptIndex {
    const { checksums } = this.#disk!.place
    const kept = [...books.directory(this.#diskTier).kept()].toSorted((a, b) => a.priority - b.priority)
    const blocks = kept.map(({ slot, key }) => ({ slot, key, checksum: checksums[slot]! }))
    return { seed, numSlots: checksums.length, blocks }
  }
}

interface OpenDisk {
  readonly place: DiskPlace
  readonly handle: FileHandle
  /** Undefined: the file ends with this process. */
  readonly store: KeptStore | undefined
  /** What the last process kept. */
  readonly index: KeptIndex | undefined
}

export async function openTiers(options: TierOptions, environment: TierEnvironment): Promise<OpenTiers> {
  const places: TierPlace[] = []
  const numHostSlots = slotsIn(options.hostBytes, environment)
  if (numHostSlots >= leastSlots) places.push({ name: 'host', numSlots: numHostSlots, disk: undefined })
  else if (options.hostBytes > 0)
    environment.log(`The host tier is off: ${options.hostBytes} bytes are too few.`)
  const disk = options.diskBytes > 0 ? await openDisk(options, environment) : undefined
  if (disk !== undefined)
    places.push({ name: 'disk', numSlots: disk.place.checksums.length, disk: disk.place })
  return new OpenTiers(places, disk)
}

async function openDisk(options: TierOptions, environment: TierEnvironment): Promise<OpenDisk | undefined> {
  const { diskDir, diskBytes } = options
  const { log, identity, bytesPerBlock, reserveSpace } = environment
  if (slotsIn(diskBytes, environment) < leastSlots) {
    log(`The disk tier is off: ${diskBytes} bytes are too few; ${leastSlots * bytesPerBlock} are the least.`)
    return undefined
  }
  let store: KeptStore | undefined
  let handle: FileHandle | undefined
  try {
    await mkdir(diskDir, { recursive: true, mode: 0o700 })
    await removeStale(diskDir, environment.now)
    if (options.diskKeep) store = await KeptStore.open(diskDir, identity)
    if (options.diskKeep && store === undefined)
      log('Another process keeps this KV on disk: ours ends with us.')
    handle = store === undefined ? await openPrivate(diskDir) : await openKept(store.blocksPath)
    const index = await store?.readIndex()
    const numBytes = slotsIn(diskBytes, environment) * bytesPerBlock
    const reserved = await reserve(handle, { numBytes, least: leastSlots * bytesPerBlock }, reserveSpace)
    if (reserved === undefined) throw new Error(`there is no room for ${leastSlots * bytesPerBlock} bytes`)
    if (reserved.isLess)
      log(`The disk tier takes ${reserved.numBytes} bytes: there is no room for ${numBytes}.`)
    const checksumBytes = slotsIn(reserved.numBytes, environment) * BigUint64Array.BYTES_PER_ELEMENT
    const checksums = new BigUint64Array(new SharedArrayBuffer(checksumBytes))
    return { place: { file: handle.fd, checksums }, handle, store, index }
  } catch (error) {
    log(`The disk tier is off: ${error instanceof Error ? error.message : String(error)}.`)
    await handle?.close()
    await store?.close(undefined)
    return undefined
  }
}

function slotsIn(numBytes: number, { bytesPerBlock }: TierEnvironment): number {
  return Math.min(mostSlots, Math.floor(numBytes / bytesPerBlock))
}
