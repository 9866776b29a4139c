import type { Tokenizer } from './tokenizer.ts'

/**
 * Turns a stream of tokens into text that may be sent at once: a character whose bytes are spread over several tokens
 * comes out with the last of them. Bytes that are no UTF-8 become U+FFFD, exactly as when the whole is decoded.
 */
export class IncrementalDetokenizer {
  readonly #tokenizer: Pick<Tokenizer, 'pieceBytes'>
  readonly #isSpelled: (tokenId: number) => boolean
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true })

  /** `special`: spell out special tokens, all or these, instead of leaving them out. */
  constructor(
    tokenizer: Pick<Tokenizer, 'pieceBytes'>,
    { special = false }: { readonly special?: boolean | ReadonlySet<number> | undefined } = {},
  ) {
    this.#tokenizer = tokenizer
    this.#isSpelled = typeof special === 'boolean' ? () => special : (tokenId) => special.has(tokenId)
  }

  /** The characters completed by this token; often one word, sometimes none. */
  push(tokenId: number): string {
    const bytes = this.#tokenizer.pieceBytes(tokenId, this.#isSpelled(tokenId))
    return bytes.length === 0 ? '' : this.#decoder.decode(bytes, { stream: true })
  }

  /** What is left when the stream ends: U+FFFD for a character cut short, else nothing. Ready for a new stream. */
  flush(): string {
    return this.#decoder.decode()
  }
}
