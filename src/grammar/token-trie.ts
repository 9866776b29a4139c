/**
 * The bytes of a vocabulary's tokens as a tree, laid out in the order of a walk: a node, then all that is below it.
 * Which tokens may follow is found by one walk that leaves out what is below a byte that may not follow.
 */
export interface TokenTrie {
  readonly vocabSize: number
  /** Of each node: its byte, how deep it is (1: a first byte), and the first node that is not below it. */
  readonly bytes: Uint8Array
  readonly depths: Uint16Array
  readonly skips: Int32Array
  /** A token that ends at the node, or -1; `others`: another token of the same bytes, by token, or -1. */
  readonly tokens: Int32Array
  readonly others: Int32Array
  readonly maxDepth: number
  /** Bytes of each token; empty for those that stand for no text. */
  readonly pieces: readonly Uint8Array[]
}

/** Tokens without bytes are in the trie nowhere. */
export function buildTokenTrie(pieces: readonly Uint8Array[]): TokenTrie {
  // One character a byte: the order of strings is the order of their bytes.
  const texts = pieces.map((piece) => String.fromCharCode(...piece))
  const order = [...texts.keys()].filter((id) => texts[id] !== '')
  order.sort((a, b) => (texts[a]! < texts[b]! ? -1 : texts[a]! > texts[b]! ? 1 : a - b))
  const maxNodes = order.reduce((sum, id) => sum + texts[id]!.length, 0)
  const bytes = new Uint8Array(maxNodes)
  const depths = new Uint16Array(maxNodes)
  const tokens = new Int32Array(maxNodes).fill(-1)
  const others = new Int32Array(pieces.length).fill(-1)
  let numNodes = 0
  let maxDepth = 0
  let before = ''
  for (const id of order) {
    const text = texts[id]!
    if (text === before) {
      others[id] = tokens[numNodes - 1]!
      tokens[numNodes - 1] = id
      continue
    }
    for (let depth = commonLength(before, text); depth < text.length; depth += 1) {
      bytes[numNodes] = text.charCodeAt(depth)
      depths[numNodes] = depth + 1
      numNodes += 1
    }
    tokens[numNodes - 1] = id
    maxDepth = Math.max(maxDepth, text.length)
    before = text
  }
  return {
    vocabSize: pieces.length,
    bytes: bytes.slice(0, numNodes),
    depths: depths.slice(0, numNodes),
    skips: skipsOf(depths, numNodes, maxDepth),
    tokens: tokens.slice(0, numNodes),
    others,
    maxDepth,
    pieces,
  }
}

function commonLength(a: string, b: string): number {
  let length = 0
  while (length < a.length && length < b.length && a.charCodeAt(length) === b.charCodeAt(length)) length += 1
  return length
}

function skipsOf(depths: Uint16Array, numNodes: number, maxDepth: number): Int32Array {
  const skips = new Int32Array(numNodes)
  /** By depth: the next node behind that is as deep or less deep. */
  const nextAt = new Int32Array(maxDepth + 2).fill(numNodes)
  for (let node = numNodes - 1; node >= 0; node -= 1) {
    const depth = depths[node]!
    skips[node] = nextAt[depth]!
    nextAt.fill(node, depth, maxDepth + 1)
  }
  return skips
}
