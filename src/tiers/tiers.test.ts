import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { FaultyFile, noFaults } from '../../test/support/faulty-file.ts'
import { RandomStream } from '../core/random.ts'
import { KvTiers } from '../kvcache/kv-tiers.ts'
import { DiskTier } from './disk-tier.ts'
import { HostTier } from './host-tier.ts'
import { decodeKeptIndex, encodeKeptIndex, type KeptIndex } from './kept-index.ts'
import { openTiers, type OpenTiers, type TierEnvironment, type TierOptions } from './open-tiers.ts'
import { lockStore } from './store-lock.ts'
import { StagingMemory } from './staging-memory.ts'
import { slotRuns, type Tier } from './tier.ts'
import type { TierFile } from './tier-file.ts'
import { createTier } from './tier-place.ts'

const bytesPerBlock = 64
const dir = mkdtempSync(join(tmpdir(), 'switchyard-tiers-'))
afterAll(() => rmSync(dir, { recursive: true }))

const blocks = (...values: number[]): Uint8Array =>
  Uint8Array.from(values.flatMap((value) => Array.from({ length: bytesPerBlock }, () => value)))

class MemoryFile implements TierFile {
  readonly bytes = new Uint8Array(64 * bytesPerBlock)
  writes: number[] = []

  write(bytes: Uint8Array, offset: number): Promise<number> {
    this.writes.push(bytes.length)
    this.bytes.set(bytes, offset)
    return Promise.resolve(bytes.length)
  }

  read(bytes: Uint8Array, offset: number): Promise<number> {
    bytes.set(this.bytes.subarray(offset, offset + bytes.length))
    return Promise.resolve(bytes.length)
  }
}

const ignore = (): void => undefined
const diskParts = (file: TierFile) => ({
  file,
  checksums: new BigUint64Array(64),
  bytesPerBlock,
  staging: new StagingMemory(bytesPerBlock, 0),
})
const diskOn = (file: TierFile): DiskTier => new DiskTier({ ...diskParts(file), onFault: ignore })

describe.each<[string, () => Tier]>([
  ['host', () => new HostTier(64, bytesPerBlock)],
  ['disk', () => diskOn(new MemoryFile())],
])('a tier (%s)', (_, create) => {
  it('gives back what was written, from any slots in any order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(fc.nat(63), { minLength: 1, maxLength: 20 }), async (slots) => {
        const tier = create()
        const seals = slots.map((slot) => slot - 7)
        const written = await tier.write(slots, seals, blocks(...slots))
        expect(written).toEqual(slots.map(() => true))
        const order = slots.toReversed()
        const bytes = new Uint8Array(order.length * bytesPerBlock)
        expect(await tier.read(order, seals.toReversed(), bytes)).toEqual(slots.map(() => true))
        expect(bytes).toEqual(blocks(...order))
      }),
    )
  })

  it('leaves out blocks without a slot', async () => {
    const tier = create()
    expect(await tier.write([3, -1, 4], [0, 0, 0], blocks(1, 2, 3))).toEqual([true, false, true])
    const bytes = blocks(9, 9)
    expect(await tier.read([-1, 4], [0, 0], bytes)).toEqual([false, true])
    expect(bytes).toEqual(blocks(9, 3))
  })
})

describe('the disk tier', () => {
  it('writes blocks of adjacent slots at once', async () => {
    const file = new MemoryFile()
    await diskOn(file).write([5, 6, 7, 2, 3, 9], [0, 0, 0, 0, 0, 0], blocks(1, 2, 3, 4, 5, 6))
    expect(file.writes.toSorted((a, b) => b - a)).toEqual([3, 2, 1].map((count) => count * bytesPerBlock))
  })

  it('does not pass off a slot for another block, or an overwritten one for what it was', async () => {
    const tier = diskOn(new MemoryFile())
    await tier.write([1, 2], [11, 12], blocks(1, 2))
    expect(await tier.read([1, 2], [11, 99], blocks(0, 0))).toEqual([true, false])
  })

  it('finds every flipped bit, and every block of which only a part was written', async () => {
    const slots = [0, 1, 2, 3]
    for (const fault of ['flip', 'torn'] as const) {
      const file = new FaultyFile(new MemoryFile(), new RandomStream(3), { ...noFaults, [fault]: 1 })
      const tier = diskOn(file)
      await tier.write(slots, slots, blocks(1, 2, 3, 4))
      const isGood = await tier.read(slots, slots, blocks(0, 0, 0, 0))
      expect(isGood).toEqual(fault === 'flip' ? expect.arrayContaining([false]) : [true, true, false, false])
    }
  })

  it('goes on after short reads and writes', async () => {
    const file = new FaultyFile(new MemoryFile(), new RandomStream(4), { ...noFaults, short: 0.9 })
    const tier = diskOn(file)
    expect(await tier.write([0, 1], [1, 2], blocks(1, 2))).toEqual([true, true])
    const bytes = new Uint8Array(2 * bytesPerBlock)
    expect(await tier.read([0, 1], [1, 2], bytes)).toEqual([true, true])
    expect(bytes).toEqual(blocks(1, 2))
    expect(file.numFaults).toBeGreaterThan(0)
  })

  it('says once that writing fails, and rejects nothing', async () => {
    const faults: unknown[] = []
    const file = new FaultyFile(new MemoryFile(), new RandomStream(5), { ...noFaults, full: 1, broken: 1 })
    const tier = new DiskTier({ ...diskParts(file), onFault: (error) => faults.push(error) })
    expect(await tier.write([0, 2], [0, 0], blocks(1, 2))).toEqual([false, false])
    expect(await tier.write([1], [0], blocks(1))).toEqual([false])
    expect(await tier.read([0], [0], blocks(0))).toEqual([false])
    expect(faults).toHaveLength(1)
  })
})

describe('the kept index', () => {
  const identity = new Uint8Array(32).fill(7)
  const index: KeptIndex = {
    seed: 2 ** 40 + 1,
    numSlots: 100,
    blocks: [
      { slot: 4, key: [1, -2, 3, -4], checksum: 2n ** 64n - 1n },
      { slot: 0, key: [5, 6, 7, 8], checksum: 0n },
    ],
  }

  it('comes back as it was', () => {
    expect(decodeKeptIndex(identity, encodeKeptIndex(identity, index))).toEqual(index)
  })

  it('is ignored when it belongs to something else, or any byte or length is wrong', () => {
    const bytes = encodeKeptIndex(identity, index)
    expect(decodeKeptIndex(new Uint8Array(32).fill(8), bytes)).toBeUndefined()
    for (let length = 0; length < bytes.length; length += 1) {
      expect(decodeKeptIndex(identity, bytes.subarray(0, length))).toBeUndefined()
      const damaged = bytes.slice()
      damaged[length]! ^= 16
      expect(decodeKeptIndex(identity, damaged)).toBeUndefined()
    }
  })
})

describe('opening tiers', () => {
  let lines: string[] = []
  let diskDir = ''
  const environment = (more: Partial<TierEnvironment> = {}): TierEnvironment => ({
    bytesPerBlock,
    identity: new Uint8Array(32).fill(1),
    log: (line) => lines.push(line),
    reserveSpace: () => false,
    now: Date.now(),
    ...more,
  })
  const options = (more: Partial<TierOptions> = {}): TierOptions => ({
    hostBytes: 0,
    diskBytes: 64 * bytesPerBlock,
    diskDir,
    diskKeep: false,
    ...more,
  })
  const noRoom = (): never => {
    throw Object.assign(new Error('no room'), { code: 'ENOSPC' })
  }
  const words = Int32Array.from([1, 2, 3, 4])
  const tierOf = ({ places }: OpenTiers): Tier => {
    const staging = new StagingMemory(bytesPerBlock, 0)
    return createTier(places[0]!, { bytesPerBlock, staging, onFault: ignore })
  }

  beforeEach(() => {
    lines = []
    diskDir = mkdtempSync(join(dir, 'open-'))
  })

  it.skipIf(process.platform === 'win32')('leaves no file behind, not even while it is open', async () => {
    const open = await openTiers(options(), environment())
    expect(open.places.map(({ name }) => name)).toEqual(['disk'])
    expect(readdirSync(diskDir)).toEqual([])
    await open.close(undefined, 0)
    expect(lines).toEqual([])
  })

  it('takes what room there is, and does without where there is none', async () => {
    let most = 20 * bytesPerBlock
    const reserveSpace = (_: number, numBytes: number): boolean => (numBytes > most ? noRoom() : true)
    const open = await openTiers(options({ hostBytes: 640 }), environment({ reserveSpace }))
    expect(open.places.map(({ name, numSlots }) => [name, numSlots])).toEqual([
      ['host', 10],
      ['disk', 16],
    ])
    await open.close(undefined, 0)
    most = 0
    expect((await openTiers(options(), environment({ reserveSpace }))).places).toEqual([])
    expect((await openTiers(options({ diskBytes: 1 }), environment({ reserveSpace }))).places).toEqual([])
    expect(lines).toHaveLength(3)
    expect(lines[1]).toMatch(/^The disk tier is off: there is no room/)
    expect(lines[2]).toMatch(/^The disk tier is off: 1 bytes are too few/)
  })

  it('does without where the folder cannot be had', async () => {
    const file = join(diskDir, 'file')
    writeFileSync(file, '')
    const open = await openTiers(options({ diskDir: join(file, 'below') }), environment())
    expect(open.places).toEqual([])
    expect(lines).toHaveLength(1)
  })

  it('removes what dead processes left, and kept blocks that nobody came back for', async () => {
    const { pid } = spawnSync(process.execPath, ['-e', ''])
    const dead = `switchyard-kv-${pid}-0.blocks`
    const old = `switchyard-kv-${'0'.repeat(32)}.blocks`
    for (const name of [dead, old, 'other.blocks']) writeFileSync(join(diskDir, name), 'x')
    await (await openTiers(options(), environment())).close(undefined, 0)
    expect(readdirSync(diskDir).toSorted()).toEqual(['other.blocks', old].toSorted())
    await (
      await openTiers(options(), environment({ now: Date.now() + 15 * 24 * 3600 * 1000 }))
    ).close(undefined, 0)
    expect(readdirSync(diskDir)).toEqual(['other.blocks'])
  })

  async function keepOne(): Promise<void> {
    const open = await openTiers(options({ diskKeep: true }), environment())
    const books = new KvTiers(open.places, bytesPerBlock)
    const [slot] = books.allocate(1)[0]!
    await tierOf(open).write([slot!], [9], blocks(5))
    books.directory(0).commit(slot!, words, 0, 1)
    await open.close(books, 1234)
  }

  it('finds kept blocks again, and what their keys were made with', async () => {
    await keepOne()
    const open = await openTiers(options({ diskKeep: true }), environment())
    const books = new KvTiers(open.places, bytesPerBlock)
    expect(open.seed).toBe(1234)
    expect(open.restore(books)).toBe(1)
    const bytes = blocks(0)
    expect(await tierOf(open).read([books.directory(0).find(words, 0)], [9], bytes)).toEqual([true])
    expect(bytes).toEqual(blocks(5))
    books.checkInvariants([])
    await open.close(books, 1234)
  })

  it('starts empty after another model, and after a damaged index; a damaged block is found out when it is read', async () => {
    await keepOne()
    const other = await openTiers(
      options({ diskKeep: true }),
      environment({ identity: new Uint8Array(32).fill(2) }),
    )
    expect(other.seed).toBeUndefined()
    await other.close(undefined, 0)
    const names = readdirSync(diskDir)
    const indexPath = join(
      diskDir,
      names.find((name) => name.endsWith('.index'))!,
    )
    const blocksPath = join(
      diskDir,
      names.find((name) => name.endsWith('.blocks'))!,
    )
    const bytes = readFileSync(blocksPath)
    bytes[3]! ^= 1
    writeFileSync(blocksPath, bytes)
    const open = await openTiers(options({ diskKeep: true }), environment())
    const books = new KvTiers(open.places, bytesPerBlock)
    open.restore(books)
    expect(await tierOf(open).read([books.directory(0).find(words, 0)], [9], blocks(0))).toEqual([false])
    await open.close(books, 1234)
    appendFileSync(indexPath, 'x')
    const last = await openTiers(options({ diskKeep: true }), environment())
    expect(last.seed).toBeUndefined()
    await last.close(undefined, 0)
    expect(existsSync(indexPath)).toBe(false)
  })

  it('gives one store to one engine at a time, and a dead one’s to the next', async () => {
    const first = await openTiers(options({ diskKeep: true }), environment())
    const second = await openTiers(options({ diskKeep: true }), environment())
    expect([first.keptTier, second.keptTier]).toEqual([0, undefined])
    expect(lines).toHaveLength(1)
    await second.close(undefined, 0)
    await first.close(new KvTiers(first.places, bytesPerBlock), 1)
    const path = join(diskDir, 'lock')
    const { pid } = spawnSync(process.execPath, ['-e', ''])
    writeFileSync(path, `${pid} 1`)
    const lock = await lockStore(path)
    expect(lock).toBeDefined()
    await lock!.release()
    expect(existsSync(path)).toBe(false)
  })

  it('is taken over where a full disk left it empty, but not while somebody may be about to write it', async () => {
    const path = join(diskDir, 'lock')
    writeFileSync(path, '')
    expect(await lockStore(path)).toBeUndefined()
    const minuteAgo = Date.now() / 1000 - 60
    utimesSync(path, minuteAgo, minuteAgo)
    const lock = await lockStore(path)
    expect(lock).toBeDefined()
    await lock!.release()
  })

  it('says why it cannot be written, and can be asked again', async () => {
    const path = join(diskDir, 'none', 'lock')
    for (let times = 0; times < 2; times++) await expect(lockStore(path)).rejects.toThrow('ENOENT')
  })
})

describe('runs of slots', () => {
  it('are as long as slots and blocks go on together', () => {
    expect(slotRuns([4, 5, -1, 6, 7, 3])).toEqual([
      { start: 0, length: 2 },
      { start: 3, length: 2 },
      { start: 5, length: 1 },
    ])
  })
})
