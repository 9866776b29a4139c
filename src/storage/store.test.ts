import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Batch } from './batch-store.ts'
import { SqliteDatabase } from './database.ts'
import { diskError } from './disk-error.ts'
import { openStore, openTemporaryStore, type Store } from './store.ts'

let dir: string
let store: Store
let now = 1000
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'store-'))
  now = 1000
  store = await openStore(dir, () => now)
})
afterEach(async () => {
  await store.close()
  rmSync(dir, { recursive: true })
})

async function reopen(): Promise<void> {
  await store.close()
  store = await openStore(dir, () => now)
}

async function save(text: string, fields = {}): Promise<string> {
  const writer = await store.files.create({ owner: 'ada', filename: 'a.jsonl', purpose: 'batch', ...fields })
  await writer.write(text)
  const file = await writer.seal()
  store.files.add(file)
  return file.id
}

const newBatch = (inputFile: string): Batch =>
  store.batches.create({
    owner: 'ada',
    tenant: 'ada',
    weight: 2,
    endpoint: '/v1/completions',
    inputFile,
    completionWindow: '24h',
    metadata: { a: 'b' },
    createdAt: 5,
    expiresAt: 10,
  })

describe('a data folder', () => {
  it('has everything in its database once it is closed, and nothing in a log beside it', async () => {
    const batch = newBatch(await save('x'))
    await store.close()
    const copy = mkdtempSync(join(tmpdir(), 'store-copy-'))
    copyFileSync(join(dir, 'switchyard.db'), join(copy, 'switchyard.db'))
    const copied = await openStore(copy, () => now)
    expect(copied.batches.find(batch.id, 'ada')).toMatchObject({ id: batch.id })
    await copied.close()
    rmSync(copy, { recursive: true })
  })

  it('belongs to one process at a time, and says so', async () => {
    const script = `import('${fileURLToPath(new URL('./store.ts', import.meta.url))}')
      .then(({ openStore }) => openStore(${JSON.stringify(dir)}))
      .catch((error) => console.log(error.code, error.message))`
    const tell = () =>
      execFileSync(process.execPath, ['--import', 'tsx', '-e', script], { encoding: 'utf8' }).trim()
    expect(tell()).toBe(`INVALID_CONFIG The data folder ${dir} is in use by another process.`)
    await store.close()
    // It ends without closing: a folder whose owner is dead is free.
    expect(tell()).toBe('')
    store = await openStore(dir)
  })

  it('whose database is none is refused', async () => {
    const other = mkdtempSync(join(tmpdir(), 'store-'))
    writeFileSync(join(other, 'switchyard.db'), 'long enough to look like a database'.repeat(100))
    await expect(openStore(other)).rejects.toThrow(/switchyard\.db cannot be opened/)
    rmSync(other, { recursive: true })
  })

  it('of an older version gets what it lacks, and keeps what it has', async () => {
    const [file, batch] = [await save('one\n'), newBatch('file-1')]
    await store.close()
    const db = new SqliteDatabase(join(dir, 'switchyard.db'))
    db.run('ALTER TABLE files DROP COLUMN expires_at')
    db.run('ALTER TABLE batches DROP COLUMN output_seconds')
    db.run('PRAGMA user_version = 1')
    db.close()
    store = await openStore(dir, () => now)
    expect(store.files.find(file, '')).toMatchObject({ bytes: 4, expiresAt: undefined })
    expect(store.batches.find(batch.id, '')).toMatchObject({ id: batch.id, outputSeconds: undefined })
    expect(store.files.find(await save('two\n'), '')).toBeDefined()
  })

  it('that is temporary is gone when it is closed', async () => {
    const temporary = await openTemporaryStore()
    expect(readdirSync(temporary.dir)).toContain('switchyard.db')
    await temporary.close()
    expect(() => readdirSync(temporary.dir)).toThrow(/ENOENT/)
  })

  it.each([
    [Object.assign(new Error('write failed'), { code: 'ENOSPC' })],
    [Object.assign(new Error('database or disk is full'), { code: 'SQLITE_FULL' })],
  ])('on a full disk is an error that says so', (error) => {
    expect(diskError(error)).toMatchObject({ code: 'STORAGE_FULL' })
    expect(diskError(new Error('other'))).not.toHaveProperty('code')
  })
})

describe('files', () => {
  it('are there after a restart, whole, and only those that were added', async () => {
    const id = await save('one\n')
    await (await store.files.create({ owner: '', filename: 'b', purpose: 'batch' })).write('half')
    await (await store.files.create({ owner: '', filename: 'c', purpose: 'batch' })).seal()
    await reopen()
    expect(store.files.find(id, '')).toEqual({
      id,
      owner: 'ada',
      filename: 'a.jsonl',
      purpose: 'batch',
      bytes: 4,
      createdAt: 1000,
      expiresAt: undefined,
    })
    expect(readFileSync(store.files.path(id), 'utf8')).toBe('one\n')
    expect(readdirSync(join(dir, 'files'))).toEqual([id])
  })

  it('are seen by their owner and by who may see all', async () => {
    const id = await save('x')
    expect(store.files.find(id, 'ada')).toBeDefined()
    expect(store.files.find(id, 'bob')).toBeUndefined()
    expect(store.files.list('bob', undefined, { after: undefined, limit: 10, order: 'desc' })).toEqual([])
  })

  it('are listed in pages, in either order, by purpose', async () => {
    const ids: string[] = []
    for (let n = 0; n < 5; n++) ids.push(await save('x', { purpose: n === 2 ? 'user_data' : 'batch' }))
    const list = (after: string | undefined, order: 'asc' | 'desc', purpose?: string) =>
      store.files.list('ada', purpose, { after, limit: 2, order }).map(({ id }) => id)
    expect(list(undefined, 'asc')).toEqual(ids.slice(0, 2))
    expect(list(ids[1], 'asc')).toEqual(ids.slice(2, 4))
    expect(list(undefined, 'desc')).toEqual([ids[4], ids[3]])
    expect(list(ids[1], 'desc')).toEqual([ids[0]])
    expect(list(ids[0], 'asc', 'batch')).toEqual([ids[1], ids[3]])
  })

  it('are gone when their time is over, unless a batch still reads them', async () => {
    const saveFor = async (seconds: number): Promise<string> => {
      const writer = await store.files.create({ owner: 'ada', filename: 'a', purpose: 'batch' })
      const file = { ...(await writer.seal()), expiresAt: now + seconds }
      store.files.add(file)
      return file.id
    }
    const [short, long, read] = [await saveFor(10), await saveFor(20), await saveFor(10)]
    const batch = newBatch(read)
    now += 10
    store.files.removeExpired()
    expect(store.files.find(short, '')).toBeUndefined()
    expect(store.files.find(read, '')).toBeUndefined()
    expect(store.files.find(long, '')).toMatchObject({ expiresAt: 1020 })
    const page = { after: undefined, limit: 10, order: 'asc' } as const
    expect(store.files.list('', undefined, page).map(({ id }) => id)).toEqual([long])
    expect(readdirSync(join(dir, 'files')).toSorted()).toEqual([long, read].toSorted())
    store.batches.enter(batch.id, 'completed', now)
    now += 10
    await reopen()
    expect(readdirSync(join(dir, 'files'))).toEqual([])
  })

  it('are gone when they are removed', async () => {
    const id = await save('x')
    store.files.remove(id)
    expect(store.files.find(id, '')).toBeUndefined()
    expect(readdirSync(join(dir, 'files'))).toEqual([])
  })
})

describe('batches', () => {
  it('keep their fields and states over a restart', async () => {
    const { id } = newBatch('file-1')
    store.batches.enter(id, 'in_progress', 7, { total: 3 })
    await reopen()
    expect(store.batches.find(id, 'ada')).toMatchObject({
      status: 'in_progress',
      times: { validating: 5, in_progress: 7 },
      weight: 2,
      metadata: { a: 'b' },
      total: 3,
      outputFile: undefined,
    })
    expect(store.batches.find(id, 'bob')).toBeUndefined()
    expect(store.batches.unfinished().map((batch) => batch.id)).toEqual([id])
    expect(store.batches.usesFile('file-1')).toBe(true)
    store.batches.enter(id, 'completed', 9)
    expect(store.batches.unfinished()).toEqual([])
  })

  it('take one result a line: a second one changes nothing', async () => {
    const batch = newBatch('file-1')
    store.batches.addResults(batch, [
      { line: 4, ok: true, json: '4' },
      { line: 1, ok: false, json: '1' },
    ])
    const again = [
      { line: 2, ok: true, json: '2' },
      { line: 4, ok: true, json: 'again' },
    ]
    expect(() => store.batches.addResults(batch, again)).toThrow(/UNIQUE/)
    await reopen()
    expect(store.batches.linesWithResult(batch).toSorted()).toEqual([1, 4])
    expect([...store.batches.results(batch, undefined)].flat()).toEqual(['1', '4'])
    expect([...store.batches.results(batch, true)].flat()).toEqual(['4'])
    expect([...store.batches.results(batch, false)].flat()).toEqual(['1'])
    expect(store.batches.find(batch.id, '')).toMatchObject({ completed: 1, failed: 1 })
  })

  it('give back thousands of results in order, page by page', () => {
    const batch = newBatch('file-1')
    const results = Array.from({ length: 1001 }, (_, line) => ({ line, ok: line % 3 > 0, json: `${line}` }))
    store.batches.addResults(batch, results.toReversed())
    expect([...store.batches.results(batch, undefined)].flat()).toEqual(results.map(({ json }) => json))
  })

  it('are listed newest first, in pages', () => {
    const ids = [1, 2, 3].map(() => newBatch('f').id)
    expect(store.batches.list('', { after: undefined, limit: 2 }).map(({ id }) => id)).toEqual([
      ids[2],
      ids[1],
    ])
    expect(store.batches.list('ada', { after: ids[1], limit: 2 }).map(({ id }) => id)).toEqual([ids[0]])
    expect(store.batches.list('bob', { after: undefined, limit: 2 })).toEqual([])
  })
})
