import type { Automaton } from './automaton.ts'

/** Bytes that no edge tells apart share a class; classes are numbered in order of their bytes. */
export function byteClasses({ states }: Automaton): {
  readonly classOf: Uint8Array
  readonly numClasses: number
} {
  const starts = new Uint8Array(257)
  for (const { bytes } of states) {
    for (const { from, to } of bytes) {
      starts[from] = 1
      starts[to + 1] = 1
    }
  }
  const classOf = new Uint8Array(256)
  let current = 0
  for (let byte = 1; byte < 256; byte += 1) {
    current += starts[byte]!
    classOf[byte] = current
  }
  return { classOf, numClasses: current + 1 }
}
