import type { TokenList } from '../core/token-list.ts'
import type { BlockId } from '../core/units.ts'

/** Behind which block (or, for the first of a sequence, in which namespace) a tail begins. */
export type TailParent = BlockId | string

/** A block of which tokens are known one by one: partly filled, or where sequences parted before. */
export interface TailBlock {
  readonly block: BlockId
  readonly parent: TailParent
  readonly tokens: readonly number[]
}

/** More different ones behind one block are not remembered: each costs a comparison in every search. */
const maxPerParent = 4

/** Finds the block that holds the beginning of what comes behind a prefix, token by token. */
export class TailBlocks {
  readonly #byParent = new Map<TailParent, TailBlock[]>()
  readonly #byBlock = new Map<BlockId, TailBlock>()
  readonly #limit: number

  /** `limit`: remembers no more than so many. */
  constructor(limit: number) {
    this.#limit = limit
  }

  get size(): number {
    return this.#byBlock.size
  }

  has(block: BlockId): boolean {
    return this.#byBlock.has(block)
  }

  tokensOf(block: BlockId): readonly number[] | undefined {
    return this.#byBlock.get(block)?.tokens
  }

  /** The tail with the longest common beginning with `tokens[start ... end)`, if it has any. */
  find(
    parent: TailParent,
    tokens: TokenList,
    start: number,
    end: number,
  ): { readonly tail: TailBlock; readonly numTokens: number } | undefined {
    let best: { tail: TailBlock; numTokens: number } | undefined
    for (const tail of this.#byParent.get(parent) ?? []) {
      let numTokens = 0
      const most = Math.min(tail.tokens.length, end - start)
      while (numTokens < most && tail.tokens[numTokens] === tokens.at(start + numTokens)) numTokens += 1
      if (numTokens > (best?.numTokens ?? 0)) best = { tail, numTokens }
    }
    return best
  }

  /**
   * Remembers a tail unless another block's says as much already, or there are too many in all. Returns the blocks that are remembered no longer:
   * what the new one continues, and the oldest where there are too many.
   */
  add(added: TailBlock): readonly BlockId[] {
    this.remove(added.block)
    const others = this.#byParent.get(added.parent) ?? []
    const isKnown = others.some((other) => startsWith(other.tokens, added.tokens))
    if (isKnown || this.#byBlock.size >= this.#limit) return []
    const dropped = others.filter((other) => startsWith(added.tokens, other.tokens))
    const oldest = others.find((other) => !dropped.includes(other))
    if (oldest !== undefined && others.length - dropped.length === maxPerParent) dropped.push(oldest)
    for (const { block } of dropped) this.remove(block)
    this.#put(added)
    return dropped.map(({ block }) => block)
  }

  /** What was said of a block is true of another one from now on. */
  rename(from: BlockId, to: BlockId): void {
    const children = this.#byParent.get(from) ?? []
    this.#byParent.delete(from)
    for (const child of children) this.#put({ ...child, parent: to })
    const tail = this.#byBlock.get(from)
    if (tail === undefined) return
    this.remove(from)
    this.#put({ ...tail, block: to })
  }

  /** Nothing happens when it is not there. */
  remove(block: BlockId): void {
    const tail = this.#byBlock.get(block)
    if (tail === undefined) return
    this.#byBlock.delete(block)
    const rest = this.#byParent.get(tail.parent)!.filter((other) => other !== tail)
    if (rest.length > 0) this.#byParent.set(tail.parent, rest)
    else this.#byParent.delete(tail.parent)
  }

  #put(tail: TailBlock): void {
    const list = this.#byParent.get(tail.parent) ?? []
    list.push(tail)
    this.#byParent.set(tail.parent, list)
    this.#byBlock.set(tail.block, tail)
  }
}

function startsWith(tokens: readonly number[], beginning: readonly number[]): boolean {
  return beginning.length <= tokens.length && beginning.every((token, index) => token === tokens[index])
}
