/**
 * Memory that blocks pass on their way between the pool and a tier, and checksums of what lies in it: 64 bits, begun
 * with a seal. The checksum is NH (Black, Halevi, Krawczyk, Krovetz, Rogaway, "UMAC", 1999): the sum of products of
 * pairs of words, each with a word of the key added, modulo 2^64; once over pieces of 4 KiB and once over their sums.
 * Two different contents have the same sum for at most 2 in 2^32 keys, however they differ: flipped bits, a torn write
 * and another block's bytes are found at those odds. The key is fixed, so a file can be read by a later process; it is no
 * defence against somebody who can write to the file.
 */
import { RandomStream } from '../core/random.ts'
import { openSumming, pieceBytes, strideBytes, type Summing } from './checksum-module.ts'

const keySeed = 0x4e48

export class StagingMemory {
  readonly #summing: Summing
  /** Where a block is copied that lies elsewhere, or does not end at a stride. */
  readonly #scratch: Uint8Array
  #numTaken: number

  /** `numBytes`: what `take` can give. */
  constructor(bytesPerBlock: number, numBytes: number) {
    const keyBytes = pieceBytes + 8 * (Math.ceil(bytesPerBlock / pieceBytes) + 1)
    const scratchAt = alignUp(keyBytes, strideBytes)
    const scratchBytes = alignUp(bytesPerBlock, strideBytes)
    this.#numTaken = scratchAt + scratchBytes
    this.#summing = openSumming(this.#numTaken + numBytes)
    const { memory } = this.#summing
    this.#scratch = new Uint8Array(memory, scratchAt, scratchBytes)
    fillKeys(new Uint32Array(memory, 0, keyBytes / 4))
  }

  /** Memory whose blocks need not be copied for their checksum. @throws {RangeError} beyond what was asked for. */
  take(numBytes: number): Uint8Array {
    const bytes = new Uint8Array(this.#summing.memory, this.#numTaken, numBytes)
    this.#numTaken += numBytes
    return bytes
  }

  checksum(block: Uint8Array, seal: number): bigint {
    const isThere = block.buffer === this.#summing.memory && block.length % strideBytes === 0
    const { byteOffset, length } = isThere ? block : this.#copy(block)
    return BigInt.asUintN(64, this.#summing.sum(byteOffset, length, 0, seal))
  }

  #copy(block: Uint8Array): Uint8Array {
    this.#scratch.set(block)
    return this.#scratch.fill(0, block.length).subarray(0, alignUp(block.length, strideBytes))
  }
}

function fillKeys(words: Uint32Array): void {
  const random = new RandomStream(keySeed)
  for (let index = 0; index < words.length; index += 1) words[index] = random.below(2 ** 32)
}

const alignUp = (value: number, to: number) => Math.ceil(value / to) * to
