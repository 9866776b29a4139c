/** Thousands of damaged model files: each is read or refused, in little time and with no more memory than its size. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'

import { RandomStream } from '../../src/core/random.ts'
import { ServingError } from '../../src/core/errors.ts'
import { openGguf, readGguf, type GgufFile } from '../../src/model/gguf-reader.ts'
import { checkModel } from '../../src/model/model-spec.ts'
import { encodeHeader, type MetadataEntry } from '../../tools/gguf-writer.ts'
import {
  encodeFile,
  llamaMetadata,
  llamaTensors,
  memorySource,
  numberArray,
  stringArray,
  type CountingSource,
} from '../support/gguf-fixture.ts'
import { mutations, type Mutation } from '../support/gguf-mutations.ts'

const SEED = 20_260_101
const NUM_FILES = 10_000
const MAX_MILLISECONDS = 250
/** Every n-th damaged file is also written to disk and read from there. */
const DISK_INTERVAL = 50

const rich: MetadataEntry[] = [
  ...llamaMetadata(),
  { key: 'general.alignment', type: 'u32', value: 32 },
  { key: 'llama.rope.freq_base', type: 'f32', value: 500_000 },
  { key: 'llama.vocab_size', type: 'u64', value: 5 },
  { key: 'tokenizer.ggml.add_bos_token', type: 'bool', value: false },
  { key: 'tokenizer.chat_template', type: 'string', value: '{{ messages }} äöü' },
  numberArray('tokenizer.ggml.token_type', 'i32', [1, 1, 1, 3, 3]),
  numberArray('tokenizer.ggml.scores', 'f32', [0, -1, -2, -3, -4]),
  stringArray('tokenizer.ggml.merges', ['a b', 'b c', '']),
]

const contents = [
  { metadata: rich, tensors: llamaTensors() },
  { metadata: rich, tensors: [] },
  { metadata: [], tensors: [{ name: 'weight', type: 2, shape: [64, 3] }] },
]

const originals = contents.map((content) => ({
  bytes: encodeFile(content),
  headBytes: encodeHeader(content).length,
}))

const dir = mkdtempSync(join(tmpdir(), 'gguf-fuzz-'))
afterAll(() => rmSync(dir, { recursive: true }))

/** How far a file comes: its head cannot be read; it can, but it is no model we serve; it is one. */
type Outcome = 'unreadable' | 'unsuitable' | 'accepted'

function outcomeOf(open: () => GgufFile): Outcome {
  const gguf = refusedOr(open)
  if (gguf === undefined) return 'unreadable'
  try {
    decodeArrays(gguf)
    return refusedOr(() => checkModel(gguf)) === undefined ? 'unsuitable' : 'accepted'
  } finally {
    gguf.close()
  }
}

/** Arrays were checked when the head was read: decoding them cannot fail. */
function decodeArrays(gguf: GgufFile): void {
  for (const [key, value] of gguf.metadata) {
    if (value.kind !== 'array' || value.elementType === 'bool') continue
    const decoded = value.elementType === 'string' ? gguf.getStrings(key) : gguf.getNumbers(key)
    expect(decoded.length).toBe(value.count)
  }
}

/** Undefined when it was refused as it should be; other errors pass through. */
function refusedOr<Result>(action: () => Result): Result | undefined {
  try {
    return action()
  } catch (error) {
    if (!(error instanceof ServingError)) throw error
    expect(error.code).toBe('INVALID_MODEL')
    expect(error.message).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u)
    expect(error.message.length).toBeLessThan(1000)
    return undefined
  }
}

function damage(random: RandomStream): { readonly bytes: Uint8Array; readonly label: string } {
  const index = random.below(originals.length)
  const original = originals[index]
  const [name, mutate] = pick(Object.entries(mutations), random)
  if (original === undefined) throw new Error('no original')
  let bytes = mutate(new Uint8Array(original.bytes), original.headBytes, random)
  // One in four files is damaged twice.
  if (random.below(4) === 0) {
    const [, again] = pick(Object.entries(mutations), random)
    bytes = again(bytes, Math.min(bytes.length, original.headBytes), random)
  }
  return { bytes, label: `file ${index}, ${name}` }
}

function pick(entries: readonly [string, Mutation][], random: RandomStream): [string, Mutation] {
  const entry = entries[random.below(entries.length)]
  if (entry === undefined) throw new Error('no mutations')
  return entry
}

describe(`${NUM_FILES} damaged files (seed ${SEED})`, () => {
  it('are read or refused with one line, quickly, and without reading more than there is', () => {
    const random = new RandomStream(SEED)
    const counts = { unreadable: 0, unsuitable: 0, accepted: 0 }
    for (let file = 0; file < NUM_FILES; file++) {
      const { bytes, label } = damage(random)
      const source = memorySource(bytes)
      const start = performance.now()
      const outcome = outcomeOf(() => readGguf(source))
      const elapsed = performance.now() - start
      const where = `damaged file ${file} (${label})`
      expect(elapsed, where).toBeLessThan(MAX_MILLISECONDS)
      expect(source.largestRead(), where).toBeLessThanOrEqual(bytes.length)
      counts[outcome]++
      if (file % DISK_INTERVAL === 0) expect(readFromDisk(bytes), where).toBe(outcome)
    }
    // All kinds must occur, or the damage is too mild or too crude to mean anything.
    expect(counts.unreadable).toBeGreaterThan(NUM_FILES / 4)
    expect(counts.unsuitable).toBeGreaterThan(NUM_FILES / 20)
    expect(counts.accepted).toBeGreaterThan(NUM_FILES / 200)
  })

  function readFromDisk(bytes: Uint8Array): Outcome {
    const path = join(dir, 'damaged.gguf')
    writeFileSync(path, bytes)
    return outcomeOf(() => openGguf(path))
  }
})

it('every original is accepted as it is', () => {
  for (const { bytes } of originals) expect(() => readGguf(memorySource(bytes))).not.toThrow()
})

describe('a file of many gigabytes', () => {
  const size = 2 ** 36

  /** The head, then zeros up to the size. */
  function sparseSource(head: Uint8Array): CountingSource {
    let total = 0
    let largest = 0
    return {
      ...memorySource(head),
      size,
      read(offset, length) {
        total += length
        largest = Math.max(largest, length)
        const bytes = new Uint8Array(length)
        bytes.set(head.subarray(offset, offset + length))
        return bytes
      },
      largestRead: () => largest,
      bytesRead: () => total,
    }
  }

  it('that is one tensor is opened by its head alone', () => {
    const source = sparseSource(
      encodeHeader({ metadata: [], tensors: [{ name: 'w', type: 0, shape: [2 ** 30, 15] }] }),
    )
    expect(readGguf(source).tensors.get('w')?.numBytes).toBe(2 ** 32 * 15)
    expect(source.bytesRead()).toBeLessThanOrEqual(256 * 1024)
  })

  it.each<[string, MetadataEntry]>([
    ['a hundred million strings', { ...stringArray('k', []), count: 100_000_000 } as MetadataEntry],
    ['a text of a gigabyte', { key: 'k', type: 'string', value: 'x' }],
  ])('that promises %s is refused at once', (_, entry) => {
    const head = encodeHeader({ metadata: [entry], tensors: [] })
    if (entry.type === 'string') new DataView(head.buffer, head.byteOffset).setBigUint64(37, 2n ** 30n, true)
    const source = sparseSource(head)
    expect(outcomeOf(() => readGguf(source))).toBe('unreadable')
    expect(source.bytesRead()).toBeLessThanOrEqual(256 * 1024)
  })
})
