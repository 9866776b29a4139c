import { expect } from 'vitest'
import { toSequenceId, type SequenceId } from '../../src/core/units.ts'
import type { KvCacheManager } from '../../src/kvcache/kv-cache-manager.ts'
import type { PrefixKeys } from '../../src/kvcache/prefix-keys.ts'

interface Live {
  readonly id: SequenceId
  readonly namespace: string
  readonly tokens: number[]
  readonly keys: PrefixKeys
  numComputed: number
}

/**
 * What a KV cache may do, said as simply as possible: per slot of every block, what was last written there, as the
 * namespace and all tokens up to it. Drives a real manager, and complains when that offers anything else.
 */
export class NaiveKv {
  readonly live: Live[] = []
  readonly #kv: KvCacheManager
  readonly #slots: (string | undefined)[]
  /** Everything that any sequence ever computed in full blocks and may be found: an infinite cache. */
  readonly #computed = new Set<string>()
  #nextId = 1

  constructor(kv: KvCacheManager) {
    this.#kv = kv
    this.#slots = Array.from({ length: kv.numTokenSlots })
  }

  /** False when there is no room. */
  start(namespace: string, tokens: number[]): boolean {
    const kv = this.#kv
    const keys = kv.createKeys(namespace, tokens)!
    const hit = kv.findPrefix(keys, tokens.length - 1)
    this.#checkLength(namespace, tokens, hit.numBlocks)
    const id = toSequenceId(this.#nextId++)
    const sizes = { numTokens: tokens.length, maxTokens: tokens.length + 8 }
    const started = kv.start({ id, keys, retention: 1, numPromptTokens: tokens.length, ...sizes }, hit)
    expect(started !== undefined).toBe(kv.numSequences > this.live.length)
    if (started === undefined) return false
    expect(started.numTokens).toBeLessThan(tokens.length)
    const { blockSize } = kv
    if (started.copy !== undefined) {
      const from = started.copy.from * blockSize
      this.#slots.copyWithin(started.copy.to * blockSize, from, from + started.copy.numTokens)
    }
    const sequence = { id, namespace, tokens, keys, numComputed: started.numTokens }
    this.live.push(sequence)
    this.#checkContent(sequence)
    return true
  }

  /** Computes up to so many tokens, and appends one when none are left. */
  compute(sequence: Live, numTokens: number): void {
    const kv = this.#kv
    if (!kv.grow(sequence.id, sequence.tokens.length)) return this.free(sequence)
    const slots = this.#slotsOf(sequence)
    const end = Math.min(sequence.tokens.length, sequence.numComputed + numTokens)
    for (let at = sequence.numComputed; at < end; at += 1) {
      const others = this.live.filter((other) => other !== sequence)
      for (const other of others) {
        const isTheirs = this.#slotsOf(other).slice(0, other.numComputed).includes(slots[at]!)
        expect(isTheirs, 'nobody writes where somebody reads').toBe(false)
      }
      this.#slots[slots[at]!] = contentOf(sequence, at)
    }
    sequence.numComputed = end
    kv.noteComputed(sequence.id, end)
    this.#remember(sequence)
    if (end === sequence.tokens.length) {
      kv.noteTail(sequence.id, end)
      sequence.tokens.push(end % 2)
    }
    for (const each of this.live) this.#checkContent(each)
  }

  free(sequence: Live, isBroken = false): void {
    this.live.splice(this.live.indexOf(sequence), 1)
    if (isBroken) this.#kv.discard(sequence.id)
    else {
      this.#kv.noteTail(sequence.id, sequence.numComputed)
      this.#kv.free(sequence.id)
    }
  }

  /** Lets the manager make order, and carries out its copies. Returns how many extents that saved. */
  compact(): number {
    const before = this.live.map(({ id }) => this.#kv.extentsOf(id).length)
    const used = new Set(this.live.flatMap(({ id }) => this.#blocksOf(id)))
    const copies = this.#kv.compact()
    const { blockSize } = this.#kv
    for (const { from, to, numTokens } of copies) {
      expect(used.has(from) && !used.has(to), `block ${from} is copied to ${to}`).toBe(true)
      this.#slots.copyWithin(to * blockSize, from * blockSize, from * blockSize + numTokens)
    }
    expect(new Set(copies.map(({ to }) => to)).size).toBe(copies.length)
    const saved = this.live.map(({ id }, index) => before[index]! - this.#kv.extentsOf(id).length)
    for (const count of saved) expect(count, 'extents saved').toBeGreaterThanOrEqual(0)
    for (const each of this.live) this.#checkContent(each)
    return saved.reduce((sum, count) => sum + count, 0)
  }

  /** Blocks are where the live sequences have them, and nowhere else. */
  checkCounts(): void {
    const used = new Set(this.live.flatMap(({ id }) => this.#blocksOf(id)))
    const { stats } = this.#kv
    expect(stats.numOwnedBlocks).toBe(used.size)
    expect(stats.numFreeBlocks + stats.numCachedBlocks + stats.numOwnedBlocks).toBe(this.#kv.numBlocks)
  }

  #remember({ namespace, tokens, numComputed }: Live): void {
    const { blockSize } = this.#kv
    for (let end = blockSize; end <= numComputed; end += blockSize) {
      this.#computed.add(`${namespace}:${tokens.slice(0, end).join()}`)
    }
  }

  /** While nothing was ever evicted or discarded, exactly what was computed is found. */
  #checkLength(namespace: string, tokens: readonly number[], numFound: number): void {
    const { blockSize, stats } = this.#kv
    let numBlocks = 0
    const isComputed = (end: number) => this.#computed.has(`${namespace}:${tokens.slice(0, end).join()}`)
    while ((numBlocks + 1) * blockSize < tokens.length && isComputed((numBlocks + 1) * blockSize))
      numBlocks += 1
    expect(numFound).toBeLessThanOrEqual(numBlocks)
    const isComplete = stats.numEvictedForRoom + stats.numEvictedForOrder === 0 && !this.hasDiscarded
    if (isComplete) expect(numFound).toBe(numBlocks)
  }

  /** Set by whoever discards. */
  hasDiscarded = false

  #checkContent(sequence: Live): void {
    const slots = this.#slotsOf(sequence)
    for (let at = 0; at < sequence.numComputed; at += 1) {
      expect(this.#slots[slots[at]!], `sequence ${sequence.id} at ${at}`).toBe(contentOf(sequence, at))
    }
  }

  #blocksOf(id: SequenceId): number[] {
    return this.#kv
      .extentsOf(id)
      .flatMap(({ start, length }) => Array.from({ length }, (_, offset) => start + offset))
  }

  #slotsOf({ id }: Live): number[] {
    const { blockSize } = this.#kv
    return this.#blocksOf(id).flatMap((block) =>
      Array.from({ length: blockSize }, (_, offset) => block * blockSize + offset),
    )
  }
}

const contentOf = ({ namespace, tokens }: Live, at: number): string =>
  `${namespace}:${tokens.slice(0, at + 1).join()}`
