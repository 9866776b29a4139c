/**
 * Steps that only decode are alike until somebody comes, ends or lacks blocks: the same sequences, one token further
 * each. A simulation lets many of them pass at once. What they change, and in which order, is what `update` and
 * `schedule` would have changed step by step; a test compares the two over random workloads.
 */
import { micros } from '../core/units.ts'
import type { KvCacheManager } from '../kvcache/kv-cache-manager.ts'
import type { SchedulingPolicy } from './policy.ts'
import type { Sequence } from './sequence.ts'
import type { StepPlan } from './step-plan.ts'

/** How many steps can end like the one in flight, at most `most`, before anything else can happen. Nobody waits. */
export function repeatsOf(
  plan: StepPlan,
  running: readonly Sequence[],
  { kv, most }: { readonly kv: KvCacheManager; readonly most: number },
): number {
  const { entries, copies } = plan
  if (copies.length > 0 || entries.length !== running.length || kv.swapper !== undefined) return 0
  let numRepeats = most
  for (const sequence of running) {
    const { firstTokenAt, isInFlight, isCancelled, numPendingTokens } = sequence
    if (firstTokenAt === undefined || !isInFlight || isCancelled || numPendingTokens !== 1) return 0
    numRepeats = Math.min(numRepeats, sequence.maxLength - sequence.tokens.length - 1)
  }
  return numRepeats > 0 && haveBlocks(running, numRepeats, kv) ? numRepeats : 0
}

/** Whether one of `running` would have to stand back if answers that grow made steps too long. */
export function mayStandBack(policy: SchedulingPolicy, running: readonly Sequence[]): boolean {
  if (policy.pickLater === undefined || policy.stepTarget?.(running) === undefined) return false
  const promptTokensBeside = (numStreams: number): number => (numStreams < running.length ? 0 : -1)
  const outlook = { now: micros(0), target: micros(1), promptTokensBeside }
  return policy.pickLater(running, undefined, outlook).length > 0
}

/** Whether all can grow by so many tokens, whatever is taken ahead for them. */
function haveBlocks(running: readonly Sequence[], numTokens: number, kv: KvCacheManager): boolean {
  let numWanted = 0
  for (const { tokens, numTokenSlots } of running) {
    // One more for the plan behind them.
    const numMissing = tokens.length + numTokens + 1 - numTokenSlots
    if (numMissing > 0) numWanted += Math.ceil(numMissing / kv.blockSize) + kv.mostBlocksAhead
  }
  return numWanted <= kv.numAvailableBlocks
}

/** The running sequences get `token` and the KV of the one before; full blocks can be found from here on. */
export function appendToAll(running: readonly Sequence[], token: number, kv: KvCacheManager): void {
  const lastOfBlock = kv.blockSize - 1
  for (const sequence of running) {
    const position = sequence.numComputedTokens++
    if ((position & lastOfBlock) === lastOfBlock) kv.noteComputed(sequence.id, position + 1)
    sequence.tokens.push(token)
  }
  kv.endStep()
}
