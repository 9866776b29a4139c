/** Which tokens may come next. */
export interface TokenMask {
  /** Tokens allowed. */
  readonly count: number
  /** One bit a token. */
  readonly bits: Uint32Array
  /** All allowed tokens in ascending order, where they are few. */
  readonly allowed: Int32Array | undefined
  /** All other tokens in ascending order, where those are few. */
  readonly denied: Int32Array | undefined
}

/** Longest list of allowed tokens, and of denied ones, that is worth making. */
const maxListed = 4096

export function allows({ bits }: TokenMask, tokenId: number): boolean {
  return ((bits[tokenId >>> 5]! >>> (tokenId & 31)) & 1) === 1
}

export function setBit(bits: Uint32Array, tokenId: number): void {
  bits[tokenId >>> 5]! |= 1 << (tokenId & 31)
}

/** `bits`: of a vocabulary of `vocabSize`; none is set beyond. */
export function toTokenMask(bits: Uint32Array, vocabSize: number): TokenMask {
  const count = bits.reduce((sum, word) => sum + numOnes(word), 0)
  const numDenied = vocabSize - count
  return {
    count,
    bits,
    allowed: count <= maxListed ? listed(bits, vocabSize, count, 1) : undefined,
    denied: numDenied <= maxListed ? listed(bits, vocabSize, numDenied, 0) : undefined,
  }
}

/** Bytes that a mask keeps. */
export function sizeOfMask({ bits, allowed, denied }: TokenMask): number {
  return bits.byteLength + (allowed?.byteLength ?? 0) + (denied?.byteLength ?? 0)
}

function listed(bits: Uint32Array, vocabSize: number, count: number, value: 0 | 1): Int32Array {
  const ids = new Int32Array(count)
  let length = 0
  for (let id = 0; id < vocabSize && length < count; id += 1) {
    if (((bits[id >>> 5]! >>> (id & 31)) & 1) === value) ids[length++] = id
  }
  return ids
}

function numOnes(word: number): number {
  let rest = word - ((word >>> 1) & 0x5555_5555)
  rest = (rest & 0x3333_3333) + ((rest >>> 2) & 0x3333_3333)
  return (((rest + (rest >>> 4)) & 0x0f0f_0f0f) * 0x0101_0101) >>> 24
}
