/**
 * In which order the requests of a batch run when all of them are known beforehand (BatchLLM, arXiv 2412.03594):
 * requests that begin alike run together, so that what they share is computed once and freed soon; among groups and
 * within them, those that generate most for what they have to read go first, so that long answers are under way while
 * the prompts of others are computed.
 */
import { charsPerLink } from './prompt-chain.ts'

export interface BatchItem {
  /** Of `promptChain`. */
  readonly chain: ArrayLike<number>
  /** Estimates in tokens; only their proportions count. */
  readonly promptTokens: number
  readonly outputTokens: number
}

/** About as many as English text has. */
const charsPerToken = 4
const tokensPerLink = charsPerLink / charsPerToken

/** A run of items that begin alike, or one item. */
interface Group {
  /** Tokens to read, what is shared once. */
  readonly promptTokens: number
  readonly outputTokens: number
  readonly firstItem: number
  readonly members: readonly Group[]
}

/** The numbers of the items in the order to run them; the same for the same items. */
export function orderBatch(items: readonly BatchItem[]): Int32Array {
  const sorted = Int32Array.from(items.keys()).sort((a, b) => compareChains(items[a]!, items[b]!) || a - b)
  const order = new Int32Array(items.length)
  let length = 0
  const waiting: Group[] = groupsOf(items, sorted, 0).reverse()
  for (let group = waiting.pop(); group !== undefined; group = waiting.pop()) {
    if (group.members.length === 0) order[length++] = group.firstItem
    else for (const member of group.members.toReversed()) waiting.push(member)
  }
  return order
}

/** The groups that items of a sorted run fall into behind the `depth` links that all of them share, best first. */
function groupsOf(items: readonly BatchItem[], sorted: Int32Array, depth: number): Group[] {
  const groups: Group[] = []
  for (let from = 0; from < sorted.length;) {
    const first = items[sorted[from]!]!
    let to = from + 1
    if (first.chain.length > depth) {
      while (to < sorted.length && items[sorted[to]!]!.chain[depth] === first.chain[depth]) to++
    }
    groups.push(groupOf(items, sorted.subarray(from, to), depth))
    from = to
  }
  return groups.sort((a, b) => weightOf(b) - weightOf(a) || a.firstItem - b.firstItem)
}

/** Items of a sorted run that share more than `depth` links, or one item. */
function groupOf(items: readonly BatchItem[], run: Int32Array, depth: number): Group {
  const first = items[run[0]!]!
  if (run.length === 1) {
    const promptTokens = Math.max(0, first.promptTokens - depth * tokensPerLink)
    return { promptTokens, outputTokens: first.outputTokens, firstItem: run[0]!, members: [] }
  }
  const shared = sharedLinks(first.chain, items[run.at(-1)!]!.chain)
  const members = groupsOf(items, run, shared)
  return {
    promptTokens: sumOf(members, 'promptTokens') + (shared - depth) * tokensPerLink,
    outputTokens: sumOf(members, 'outputTokens'),
    firstItem: members.reduce((least, { firstItem }) => Math.min(least, firstItem), Infinity),
    members,
  }
}

/** Tokens written for each token read. */
const weightOf = ({ promptTokens, outputTokens }: Group): number => outputTokens / (promptTokens + 1)

const sumOf = (groups: readonly Group[], field: 'promptTokens' | 'outputTokens'): number =>
  groups.reduce((sum, group) => sum + group[field], 0)

function compareChains({ chain: a }: BatchItem, { chain: b }: BatchItem): number {
  const shared = sharedLinks(a, b)
  if (shared === a.length || shared === b.length) return a.length - b.length
  return a[shared]! - b[shared]!
}

function sharedLinks(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const most = Math.min(a.length, b.length)
  let shared = 0
  while (shared < most && a[shared] === b[shared]) shared++
  return shared
}
