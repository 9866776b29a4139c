/**
 * The index of a disk tier that outlives its process: which key is in which slot, with its checksum. It is replaced as
 * a whole by a rename, and says nothing of slots that were written after it: a slot that holds something else by now
 * fails its checksum when it is read. So a crash at any moment costs blocks, never content.
 */
import { crc32 } from 'node:zlib'
import { wordsPerKey } from '../kvcache/prefix-hasher.ts'

export interface KeptBlock {
  readonly slot: number
  /** The key's words. */
  readonly key: readonly number[]
  readonly checksum: bigint
}

export interface KeptIndex {
  /** What the keys were made with. */
  readonly seed: number
  readonly numSlots: number
  /** Least valuable first. */
  readonly blocks: readonly KeptBlock[]
}

const magic = 0x53594b56
const version = 2
const identityBytes = 32
const headBytes = 4 + 4 + identityBytes + 8 + 4 + 4
const keyBytes = 4 * wordsPerKey
const blockBytes = 4 + keyBytes + 8

/** `identity`: 32 bytes of what the content depends on. */
export function encodeKeptIndex(identity: Uint8Array, { seed, numSlots, blocks }: KeptIndex): Uint8Array {
  const bytes = new Uint8Array(headBytes + blocks.length * blockBytes + 4)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, magic)
  view.setUint32(4, version)
  bytes.set(identity, 8)
  view.setFloat64(8 + identityBytes, seed)
  view.setUint32(16 + identityBytes, numSlots)
  view.setUint32(20 + identityBytes, blocks.length)
  blocks.forEach(({ slot, key, checksum }, index) => {
    const at = headBytes + index * blockBytes
    view.setUint32(at, slot)
    key.forEach((word, index) => view.setInt32(at + 4 + 4 * index, word))
    view.setBigUint64(at + 4 + keyBytes, checksum)
  })
  view.setUint32(bytes.length - 4, crc32(bytes.subarray(0, bytes.length - 4)))
  return bytes
}

/** Undefined when it is torn, of another version, or of another model or other settings. */
export function decodeKeptIndex(identity: Uint8Array, bytes: Uint8Array): KeptIndex | undefined {
  if (bytes.length < headBytes + 4) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  if (view.getUint32(0) !== magic || view.getUint32(4) !== version) return undefined
  if (!identity.every((byte, index) => byte === bytes[8 + index])) return undefined
  if (view.getUint32(bytes.length - 4) !== crc32(bytes.subarray(0, bytes.length - 4))) return undefined
  const numBlocks = view.getUint32(20 + identityBytes)
  if (bytes.length !== headBytes + numBlocks * blockBytes + 4) return undefined
  const blocks = Array.from({ length: numBlocks }, (_, index) => decodeBlock(view, index))
  return { seed: view.getFloat64(8 + identityBytes), numSlots: view.getUint32(16 + identityBytes), blocks }
}

function decodeBlock(view: DataView, index: number): KeptBlock {
  const at = headBytes + index * blockBytes
  return {
    slot: view.getUint32(at),
    key: Array.from({ length: wordsPerKey }, (_, word) => view.getInt32(at + 4 + 4 * word)),
    checksum: view.getBigUint64(at + 4 + keyBytes),
  }
}
