/** Which blocks of a sequence that lies in several extents are worth moving, and where to. A decision; nothing moves. */
import { toBlockId, type BlockId } from '../core/units.ts'
import type { Extent } from './extent.ts'

/** More are not moved: by the time they are all copied, the sequence may have ended. */
const mostMoved = 512

/** What of a sequence may move, and what room there is. */
export interface Fragmented {
  readonly extents: readonly Extent[]
  /** Blocks from this position of its table on are its own. */
  readonly firstMovable: number
  /** Free blocks right behind a block. */
  readonly freeBehind: (block: BlockId) => number
  readonly longestFreeRun: number
}

/** All blocks from a position on go to one run. */
export interface MoveChoice {
  /** Position in the sequence's table: the first of an extent. */
  readonly first: number
  readonly numBlocks: number
  /** The run begins right behind this block; undefined: it may lie anywhere. */
  readonly after: BlockId | undefined
}

/**
 * The end of the sequence, from the beginning of one of its extents on, whose move saves most extents for each block
 * copied. Undefined when none saves any, or there is no run for it.
 */
export function chooseMove({
  extents,
  firstMovable,
  freeBehind,
  longestFreeRun,
}: Fragmented): MoveChoice | undefined {
  let best: MoveChoice | undefined
  let bestGain = 0
  let numBlocks = 0
  let first = extents.reduce((sum, { length }) => sum + length, 0)
  for (let index = extents.length - 1; index >= 0; index -= 1) {
    numBlocks += extents[index]!.length
    first -= extents[index]!.length
    if (first < firstMovable || numBlocks > mostMoved) break
    const after = index === 0 ? undefined : lastOf(extents[index - 1]!)
    const joins = after !== undefined && freeBehind(after) >= numBlocks
    if (!joins && longestFreeRun < numBlocks) continue
    const numAfter = joins ? index : index + 1
    const gain = (extents.length - numAfter) / numBlocks
    if (gain <= bestGain) continue
    bestGain = gain
    best = { first, numBlocks, after: joins ? after : undefined }
  }
  return best
}

const lastOf = ({ start, length }: Extent): BlockId => toBlockId(start + length - 1)
