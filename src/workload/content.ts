/** Content ids for prompts whose content is known to be new, and for conversations that grow. */
import type { ContentId } from './workload.ts'

/** Hands out ids that nobody has had. Counts down from -1, so that they meet no id of a trace. */
export class ContentIds {
  #last = 0

  next(): ContentId {
    this.#last -= 1
    return this.#last
  }

  take(count: number): ContentId[] {
    return Array.from({ length: count }, () => this.next())
  }
}

/** The tokens of one conversation, of which each prompt is a beginning. */
export class ContentStream {
  readonly #ids: ContentIds
  readonly #blockSize: number
  readonly #blocks: ContentId[]

  /** Starts with the blocks `shared`, which others may have too. */
  constructor(ids: ContentIds, blockSize: number, shared: readonly ContentId[] = []) {
    this.#ids = ids
    this.#blockSize = blockSize
    this.#blocks = [...shared]
  }

  /** Blocks of the first `numTokens` tokens. */
  first(numTokens: number): ContentId[] {
    const numBlocks = Math.ceil(numTokens / this.#blockSize)
    while (this.#blocks.length < numBlocks) this.#blocks.push(this.#ids.next())
    return this.#blocks.slice(0, numBlocks)
  }
}
