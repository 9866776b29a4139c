import { utf8Bytes } from './utf8.ts'

/** A byte that no text has. */
const specialByte = 0xff

/**
 * What stands for a special token in a vocabulary, so that no ordinary text is ever taken for one, nor spelled with
 * one: a grammar allows it where it asks for it by its text.
 */
export function specialPiece(text: string): Uint8Array {
  return Uint8Array.of(specialByte, ...utf8Bytes(text))
}
