/** Opens the tiers that the settings name; what cannot be had is left out with one line in the log. */
import { mkdir } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import type { KvTiers } from '../kvcache/kv-tiers.ts'
import { openKept, openPrivate, removeStale, reserve } from './disk-files.ts'
import { DiskTier } from './disk-tier.ts'
import { HostTier } from './host-tier.ts'
import type { KeptIndex } from './kept-index.ts'
import { KeptStore } from './kept-store.ts'
import type { Tier } from './tier.ts'
import { tierFile, type TierFile } from './tier-file.ts'

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
  /** What the tier sees of its file; tests break it here. */
  readonly wrapFile?: (file: TierFile) => TierFile
  /** Milliseconds since 1970, for the age of files. */
  readonly now: number
}

/** A tier of fewer blocks is of no use. */
const leastSlots = 4
/** The bookkeeping of a slot is about 70 bytes. */
const mostSlots = 2 ** 21

export class OpenTiers {
  readonly tiers: readonly Tier[]
  readonly #kept: Kept | undefined

  constructor(tiers: readonly Tier[], kept: Kept | undefined) {
    this.tiers = tiers
    this.#kept = kept
  }

  /** What keys must be made with, so that kept blocks are found; undefined: as you like. */
  get seed(): number | undefined {
    return this.#kept?.index?.seed
  }

  /** The tier that outlives the process. */
  get keptTier(): number | undefined {
    return this.#kept?.tierIndex
  }

  /** Tells the books what the last process kept. Returns how many blocks. */
  restore(books: KvTiers): number {
    if (this.#kept?.index === undefined) return 0
    const { tier, tierIndex, index } = this.#kept
    const directory = books.directory(tierIndex)
    const ranked = index.blocks.map((block, rank) => ({
      ...block,
      priority: (rank + 1) / (index.blocks.length + 1),
    }))
    let numBlocks = 0
    for (const { slot, key, checksum, priority } of ranked.toSorted((a, b) => a.slot - b.slot)) {
      if (slot >= tier.numSlots || !directory.restore(slot, key, priority)) continue
      tier.checksums[slot] = checksum
      numBlocks += 1
    }
    return numBlocks
  }

  /** The books changed. `seed`: what keys are made with. */
  noteChange(books: KvTiers, seed: number): void {
    this.#kept?.store.noteChange(() => this.#indexOf(books, seed))
  }

  /** To be called when nothing is under way. */
  async close(books: KvTiers | undefined, seed: number): Promise<void> {
    for (const tier of this.tiers) await tier.close()
    await this.#kept?.store.close(books && this.#indexOf(books, seed))
  }

  #indexOf(books: KvTiers, seed: number): KeptIndex {
    const { tier, tierIndex } = this.#kept!
    const kept = [...books.directory(tierIndex).kept()].toSorted((a, b) => a.priority - b.priority)
    const blocks = kept.map(({ slot, key }) => ({ slot, key, checksum: tier.checksums[slot]! }))
    return { seed, numSlots: tier.numSlots, blocks }
  }
}

interface Kept {
  readonly tier: DiskTier
  readonly tierIndex: number
  readonly store: KeptStore
  readonly index: KeptIndex | undefined
}

export async function openTiers(options: TierOptions, environment: TierEnvironment): Promise<OpenTiers> {
  const tiers: Tier[] = []
  const numHostSlots = slotsIn(options.hostBytes, environment)
  if (numHostSlots >= leastSlots) tiers.push(new HostTier(numHostSlots, environment.bytesPerBlock))
  else if (options.hostBytes > 0)
    environment.log(`The host tier is off: ${options.hostBytes} bytes are too few.`)
  const disk = options.diskBytes > 0 ? await openDisk(options, environment) : undefined
  if (disk === undefined) return new OpenTiers(tiers, undefined)
  const tierIndex = tiers.push(disk.tier) - 1
  return new OpenTiers(
    tiers,
    disk.store && { tier: disk.tier, tierIndex, store: disk.store, index: disk.index },
  )
}

interface OpenDisk {
  readonly tier: DiskTier
  readonly store: KeptStore | undefined
  readonly index: KeptIndex | undefined
}

async function openDisk(options: TierOptions, environment: TierEnvironment): Promise<OpenDisk | undefined> {
  const { diskDir } = options
  const { log, identity, bytesPerBlock, reserveSpace, wrapFile = (file: TierFile) => file } = environment
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
    const numBytes = slotsIn(options.diskBytes, environment) * bytesPerBlock
    const reserved = await reserve(handle, { numBytes, least: leastSlots * bytesPerBlock }, reserveSpace)
    if (reserved === undefined) throw new Error(`there is no room for ${leastSlots * bytesPerBlock} bytes`)
    if (reserved.isLess)
      log(`The disk tier takes ${reserved.numBytes} bytes: there is no room for ${numBytes}.`)
    const onFault = (error: unknown): void =>
      log(`Writing KV to disk failed: ${messageOf(error)}; it shrinks.`)
    const numSlots = slotsIn(reserved.numBytes, environment)
    const file = wrapFile(tierFile(handle))
    return { tier: new DiskTier({ file, numSlots, bytesPerBlock, onFault }), store, index }
  } catch (error) {
    log(`The disk tier is off: ${messageOf(error)}.`)
    await handle?.close()
    await store?.close(undefined)
    return undefined
  }
}

function slotsIn(numBytes: number, { bytesPerBlock }: TierEnvironment): number {
  return Math.min(mostSlots, Math.floor(numBytes / bytesPerBlock))
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))
