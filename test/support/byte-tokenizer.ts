import type { Tokenizer } from '../../src/text/tokenizer.ts'

/** A vocabulary without a file: one token a byte, and the two special tokens of ChatML. */
export class ByteTokenizer implements Tokenizer {
  readonly vocabSize = 258
  readonly endTokenIds = [257]
  readonly bosText = ''
  readonly eosText = '<|im_end|>'
  readonly chatTemplate: string | undefined

  constructor(chatTemplate?: string) {
    this.chatTemplate = chatTemplate
  }

  encode(text: string, { parseSpecial }: { addSpecial: boolean; parseSpecial: boolean }): number[] {
    const parts = parseSpecial ? text.split(/(<\|im_start\|>|<\|im_end\|>)/) : [text]
    return parts.flatMap((part) => {
      const special = parseSpecial ? specials.indexOf(part) : -1
      return special === -1 ? [...Buffer.from(part)] : [256 + special]
    })
  }

  pieceBytes(tokenId: number, special = false): Uint8Array {
    if (tokenId < 256) return Uint8Array.of(tokenId)
    return special ? Buffer.from(specials[tokenId - 256] ?? '') : new Uint8Array(0)
  }

  decode(tokenIds: readonly number[], special = false): string {
    return Buffer.concat(tokenIds.map((id) => this.pieceBytes(id, special))).toString()
  }

  close(): void {}
}

const specials = ['<|im_start|>', '<|im_end|>']
