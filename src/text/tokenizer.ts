/** Text to tokens and back, byte-exact with llama.cpp. Implemented over libllama in `llama-tokenizer.ts`. */
export interface Tokenizer {
  readonly vocabSize: number
  /** Tokens that end a turn or a text (EOS, EOT and the like). */
  readonly endTokenIds: readonly number[]
  /** Text of the special tokens that chat templates mention; empty string when the vocabulary has none. */
  readonly bosText: string
  readonly eosText: string
  /** The Jinja template in the model file, if any. */
  readonly chatTemplate: string | undefined
  /** `addSpecial`: put BOS/EOS where the model wants them. `parseSpecial`: read `<|im_end|>` as one token. */
  encode(text: string, options: { addSpecial: boolean; parseSpecial: boolean }): number[]
  /** The bytes of one token, possibly half a UTF-8 character. Special tokens: empty unless `special`. */
  pieceBytes(tokenId: number, special?: boolean): Uint8Array
  decode(tokenIds: readonly number[], special?: boolean): string
  close(): void
}
