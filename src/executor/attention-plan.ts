/**
 * Decides how each sequence of a step attends: alone (in place, over a masked span, or over gathered extents), or
 * together with others that share its leading KV. Pure: shapes and costs in, a plan out.
 */
import type { PlanEntry } from '../scheduler/step-plan.ts'
import type { SharedAttentionMode } from './executor-options.ts'
import type { SlotRun } from './kv-view.ts'
import { coveringRun, findSharedGroups, lengthOf, type SharedGroup } from './shared-groups.ts'
import {
  chunkAttentionCost,
  sharedAttentionCost,
  singleAttentionCost,
  tileRows,
  type AttentionMachine,
} from './attention-cost.ts'

export interface SingleUnit {
  readonly kind: 'single'
  readonly path: 'direct' | 'span' | 'gather' | 'floats'
  readonly numTokens: number
  readonly numExtents: number
  /** Rows of stacked queries a KV head, with those that only pad; 0: rows are as they are. */
  readonly numStackedRows: number
}

export interface SharedUnit {
  readonly kind: 'shared'
  readonly numSequences: number
  /** Rows of queries a KV head, with those that only pad. */
  readonly numRows: number
  readonly numSharedTokens: number
}

/** What nearly all units are: one object, so that many are told apart from others quickly. */
export const decodeInPlace: SingleUnit = {
  kind: 'single',
  path: 'direct',
  numTokens: 1,
  numExtents: 1,
  numStackedRows: 0,
}

export type AttentionUnit = SingleUnit | SharedUnit

export interface AttentionPlan {
  /** Indices of the plan's entries in the order in which their rows are computed; undefined: as they are. */
  readonly order: readonly number[] | undefined
  /** What attends, in that order. */
  readonly units: readonly AttentionUnit[]
}

export interface AttentionRules {
  readonly machine: AttentionMachine
  readonly sharing: SharedAttentionMode
  /** Whether masked spans may be read. */
  readonly spans: boolean
  /** Whether the queries of a chunk may be stacked where that pays. */
  readonly stacks: boolean
  /**
   * Whether long chunks read their KV as floats: the tiled kernel takes no quantised KV, and the row-wise one is several
   * times slower.
   */
  readonly unpacks: boolean
  /** Extents out of order may not be read as one span: the order of summation would change. */
  readonly keepsOrder: boolean
}

export function planAttention(
  entries: readonly PlanEntry[],
  runs: readonly (readonly SlotRun[])[],
  rules: AttentionRules,
): AttentionPlan {
  const groups = rules.sharing === 'never' ? [] : groupsOf(entries, runs, rules)
  let room = maxUnpackedRooms * rules.machine.maxGatheredTokens
  const single = (index: number): SingleUnit => {
    const own = runs[index] ?? []
    const unit = singleUnit(entries[index] as PlanEntry, own, rules, room)
    if (unit.path === 'floats') room -= lengthOf(own)
    return unit
  }
  if (groups.length === 0) return { order: undefined, units: entries.map((_, index) => single(index)) }
  const grouped = new Set(groups.flatMap(({ members }) => members))
  const alone = entries.map((_, index) => index).filter((index) => !grouped.has(index))
  const shared = groups.map(({ members, numSharedTokens }): SharedUnit => {
    const { numRows } = sharedAttentionCost(rules.machine, tailsOf({ members, numSharedTokens }, runs))
    return { kind: 'shared', numSequences: members.length, numRows, numSharedTokens }
  })
  return {
    order: [...groups.flatMap(({ members }) => members), ...alone],
    units: [...shared, ...alone.map(single)],
  }
}

/** Groups of one step; each needs room for its list of slots. */
const maxSharedGroups = 4
/** Room for the lists of chunks that read floats, in multiples of the longest. */
const maxUnpackedRooms = 4

/** The most slots that one step gathers by list. */
export function mostListedSlots({ maxGatheredTokens }: AttentionMachine): number {
  return (maxSharedGroups + maxUnpackedRooms) * maxGatheredTokens
}

function groupsOf(
  entries: readonly PlanEntry[],
  runs: readonly (readonly SlotRun[])[],
  { machine, sharing }: AttentionRules,
): SharedGroup[] {
  const decodes: number[] = []
  const firstSlots = new Set<number | undefined>()
  for (let index = 0; index < entries.length; index++) {
    if (entries[index]?.tokens.length !== 1) continue
    decodes.push(index)
    firstSlots.add(runs[index]?.[0]?.slot)
  }
  // Most steps: nobody begins like anybody else.
  if (firstSlots.size === decodes.length) return []
  const saving = (group: SharedGroup): number => {
    const { cost, fits } = sharedAttentionCost(machine, tailsOf(group, runs))
    if (!fits) return 0
    if (sharing === 'always') return group.members.length * group.numSharedTokens
    const alone = group.members.reduce(
      (sum, member) => sum + singleAttentionCost(machine, lengthOf(runs[member] ?? [])),
      0,
    )
    return alone - cost
  }
  return findSharedGroups(runs, decodes, saving).slice(0, maxSharedGroups)
}

function tailsOf({ members, numSharedTokens }: SharedGroup, runs: readonly (readonly SlotRun[])[]) {
  return { numSharedTokens, tails: members.map((member) => lengthOf(runs[member] ?? []) - numSharedTokens) }
}

/**
 * Copying a token's KV costs about as much as stepping over this many masked ones, which a row reads only to see that
 * they are masked (`bench/kv-extents.ts`).
 */
const maskedKeysPerCopiedKey = 1.5

function singleUnit(
  { tokens, position }: PlanEntry,
  runs: readonly SlotRun[],
  rules: AttentionRules,
  room: number,
): SingleUnit {
  const numTokens = tokens.length
  if (numTokens === 1 && runs.length <= 1) return decodeInPlace
  const length = lengthOf(runs)
  const mayStack = rules.stacks && numTokens > 1
  let numStackedRows = mayStack ? chunkAttentionCost(rules.machine, position, numTokens).numRows : 0
  const unit = (path: SingleUnit['path'], numExtents: number): SingleUnit => ({
    kind: 'single',
    numTokens,
    numStackedRows,
    path,
    numExtents,
  })
  if (rules.unpacks) {
    const fits = length <= Math.min(room, rules.machine.maxGatheredTokens)
    const isTiled = numTokens >= tileRows || numStackedRows > 0
    if (fits && isTiled) return unit('floats', 1)
    // The tiled kernel would find quantised KV and go row by row.
    numStackedRows = 0
  }
  if (runs.length <= 1) return unit('direct', 1)
  const numMasked = coveringRun(runs).length - length
  const mayBeSpan = rules.spans && numTokens === 1 && (!rules.keepsOrder || isAscending(runs))
  if (mayBeSpan && numMasked <= length * maskedKeysPerCopiedKey) return unit('span', 1)
  return unit('gather', runs.length)
}

function isAscending(runs: readonly SlotRun[]): boolean {
  return runs.every((run, index) => index === 0 || run.slot > (runs[index - 1]?.slot ?? 0))
}
