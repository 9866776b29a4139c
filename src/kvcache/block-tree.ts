import { invariant } from '../core/errors.ts'
import { toBlockId, type BlockId } from '../core/units.ts'

/** The parent of a first block. */
export const root = -1
const unlinked = -2

/** Which block comes before which: a tree in typed arrays, as 2 million blocks are usual. */
export class BlockTree {
  readonly #parents: Int32Array
  readonly #numChildren: Int32Array

  constructor(numBlocks: number) {
    this.#parents = new Int32Array(numBlocks).fill(unlinked)
    this.#numChildren = new Int32Array(numBlocks)
  }

  get numBytes(): number {
    return this.#parents.byteLength + this.#numChildren.byteLength
  }

  has(block: number): boolean {
    return this.#parents[block] !== unlinked
  }

  /** `root` for a first block; below it for one that is not in the tree. */
  parentOf(block: number): number {
    return this.#parents[block]!
  }

  numChildrenOf(block: number): number {
    return this.#numChildren[block]!
  }

  /** A block of the tree and all before it, in token order. */
  pathTo(last: BlockId): BlockId[] {
    const path: BlockId[] = []
    for (let block = last as number; block >= 0; block = this.parentOf(block)) path.push(toBlockId(block))
    return path.reverse()
  }

  /** Nothing happens when it is there already, behind the same parent. */
  link(block: BlockId, parent: number): void {
    if (this.has(block)) {
      invariant(this.#parents[block] === parent, `block ${block} has two parents`)
      return
    }
    this.#parents[block] = parent
    if (parent !== root) this.#numChildren[parent]! += 1
  }

  /** Takes a block out; returns the parent that has no other child, if there is one. */
  unlink(block: number): BlockId | undefined {
    const parent = this.#parents[block]!
    this.#parents[block] = unlinked
    if (parent < 0) return undefined
    this.#numChildren[parent]! -= 1
    return this.#numChildren[parent] === 0 ? toBlockId(parent) : undefined
  }

  /**
   * Puts another block in the place of one. Its parent is `parent` from now on, where one is given: the block that
   * took the old parent's place. Its children must be told.
   */
  replace(block: BlockId, by: BlockId, parent: number | undefined): void {
    invariant(this.has(block) && !this.has(by), `block ${by} cannot take the place of block ${block}`)
    this.#parents[by] = parent ?? this.#parents[block]!
    this.#numChildren[by] = this.#numChildren[block]!
    this.#parents[block] = unlinked
    this.#numChildren[block] = 0
  }
}
