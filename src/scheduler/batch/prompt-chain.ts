/** Characters of a prompt that one link stands for: about as many as a block of the KV cache has tokens times four. */
export const charsPerLink = 128

/**
 * What a prompt begins with, as one number for each whole `charsPerLink` characters: link k is equal in two prompts
 * when their first (k + 1) * `charsPerLink` characters are, and as good as never otherwise. 53-bit hashes: two that
 * collide cost a worse order and nothing else. The mixer is the finaliser of MurmurHash3 (Austin Appleby, public domain).
 */
export function promptChain(text: string): Float64Array {
  const chain = new Float64Array(Math.floor(text.length / charsPerLink))
  let high = 0x9e3779b9
  let low = 0x85ebca6b
  for (let link = 0; link < chain.length; link++) {
    const end = (link + 1) * charsPerLink
    for (let at = link * charsPerLink; at < end; at++) {
      const code = text.charCodeAt(at)
      high = Math.imul(high ^ code, 0x01000193)
      low = Math.imul(low ^ code, 0x5bd1e995) + 1
    }
    high = scramble(high ^ (low >>> 15))
    low = scramble(low)
    chain[link] = (high >>> 11) * 4_294_967_296 + (low >>> 0)
  }
  return chain
}

function scramble(value: number): number {
  let hash = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}
