/** How much of each prompt a server could have had in its prefix cache: what sharing a workload offers. */
import type { ContentId, Workload, WorkloadRequest } from './workload.ts'

export interface ReuseOptions {
  /** The server caches whole blocks of so many tokens; 1 where it can reuse any prefix. */
  readonly serverBlockSize: number
  /**
   * Whether later turns carry the answers of the trace, which the server has not seen, or its own, whose KV it has
   * but for the last token's.
   */
  readonly history?: 'trace' | 'actual'
}

/**
 * For each request, in order, the prompt tokens that an unlimited cache would hold if every request before it had
 * ended: the longest prefix shared with any earlier prompt, in whole server blocks. At least one token is always left
 * to compute, as servers need it for the first output.
 */
export function reusableTokens(workload: Workload, options: ReuseOptions): number[] {
  const { serverBlockSize, history = 'trace' } = options
  const root = new Node()
  const ends = new Map<string, number>()
  return workload.requests.map((request) => {
    const { program, numPromptTokens, numOutputTokens } = request
    let shared = insert(root, request, workload.blockSize)
    if (program !== undefined && history === 'actual') {
      if (request.includesAnswer === true) shared = Math.max(shared, ends.get(program) ?? 0)
      ends.set(program, numPromptTokens + numOutputTokens - 1)
    }
    const usable = Math.min(shared, numPromptTokens - 1)
    return usable - (usable % serverBlockSize)
  })
}

/** Share of all prompt tokens that is reusable, 0 to 1; 0 for a workload without requests. */
export function reusableShare(workload: Workload, options: ReuseOptions): number {
  const total = workload.requests.reduce((sum, { numPromptTokens }) => sum + numPromptTokens, 0)
  const reusable = reusableTokens(workload, options).reduce((sum, tokens) => sum + tokens, 0)
  return total === 0 ? 0 : reusable / total
}

/** Adds a prompt below `root`; the tokens of it that were there before. */
function insert(root: Node, { blocks, numPromptTokens }: WorkloadRequest, blockSize: number): number {
  let node = root
  let shared = 0
  let isShared = true
  let left = numPromptTokens
  for (const id of blocks) {
    const length = Math.min(blockSize, left)
    left -= length
    node = node.child(id)
    const known = Math.min(length, node.numTokens)
    if (isShared) shared += known
    isShared &&= known === blockSize
    node.numTokens = Math.max(node.numTokens, length)
  }
  return shared
}

/** A block of some prompt, below the blocks before it. Most have one child, which saves them a map. */
class Node {
  /** Most tokens of this block that any prompt had. */
  numTokens = 0
  #onlyId: ContentId | undefined
  #only: Node | undefined
  #others: Map<ContentId, Node> | undefined

  /** The block behind this one; it is made when nobody had it. */
  child(id: ContentId): Node {
    if (this.#onlyId === id) return this.#only!
    const known = this.#others?.get(id)
    if (known !== undefined) return known
    const node = new Node()
    if (this.#only === undefined) {
      this.#onlyId = id
      this.#only = node
    } else {
      this.#others ??= new Map()
      this.#others.set(id, node)
    }
    return node
  }
}
