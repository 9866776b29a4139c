/** Why a step was planned as it was, in words: what it had to share out, who got what, and who was left waiting. */
import type { Micros } from '../../core/units.ts'
import type { SequenceView } from '../../scheduler/sequence.ts'
import type { PlanEntry, StepPlan } from '../../scheduler/step-plan.ts'
import type { WaitReason } from '../../scheduler/timeline.ts'
import type { PlanLogHeader } from './plan-log.ts'
import type { PlanReplay } from './replay-plans.ts'

/** What a sequence was before the step was planned. */
export interface Before {
  readonly status: SequenceView['status']
  readonly numComputedTokens: number
}

export function snapshot({ sequences }: PlanReplay): Map<number, Before> {
  const states = [...sequences.values()].map(
    ({ id, status, numComputedTokens }) => [id, { status, numComputedTokens }] as const,
  )
  return new Map(states)
}

const mostShown = 10

const reasons: Readonly<Record<WaitReason, (header: PlanLogHeader) => string>> = {
  places: ({ planning }) => `all ${planning.maxNumSeqs} places are taken (--max-num-seqs)`,
  'step-budget': ({ planning }) =>
    `the step is full (--max-num-batched-tokens ${planning.maxNumBatchedTokens}, or a target for the time between tokens)`,
  memory: () => 'its blocks, with room for everybody to grow, are not to be had',
  'stream-targets': () => 'one more stream would make all slower than their class allows',
  'shared-prefix': () => 'somebody is computing the block that it needs next',
  preemption: () => 'somebody has just been preempted: what that freed is for those that run',
  swap: () => 'its blocks are on their way',
}

/** To be asked once, and last: it takes the queue apart. */
export function explainStep(
  replay: PlanReplay,
  header: PlanLogHeader,
  step: { readonly plan: StepPlan; readonly at: Micros; readonly before: ReadonlyMap<number, Before> },
): string {
  const { plan, at, before } = step
  const byId = new Map([...replay.sequences.values()].map((sequence) => [sequence.id as number, sequence]))
  const { kv, scheduler } = replay
  const counts = `${plan.numTokens} of ${header.planning.maxNumBatchedTokens} tokens, ${plan.entries.length} of ${header.planning.maxNumSeqs} sequences`
  const blocks = `${kv.numBlocks - kv.numAvailableBlocks} of ${kv.numBlocks} blocks held, ${kv.numCachedBlocks} more cached`
  return [
    `Step ${plan.step} under ${header.planning.policy}: ${counts}; ${blocks}.`,
    ...plan.preempted.map((id) => preemptedLine(id, byId.get(id))),
    ...plan.copies.map(
      ({ from, to, numTokens }) => `  copies ${numTokens} tokens of block ${from} to block ${to}`,
    ),
    ...plan.entries.map((entry) =>
      entryLine(entry, byId.get(entry.sequenceId), before.get(entry.sequenceId)),
    ),
    ...waitingLines(replay, scheduler.waitReason, { header, at }),
    '',
  ].join('\n')
}

function preemptedLine(id: number, sequence: SequenceView | undefined): string {
  return `  ${nameOf(id, sequence)} lost its blocks and its place: others needed them more`
}

function entryLine(entry: PlanEntry, sequence: SequenceView | undefined, before: Before | undefined): string {
  const { sequenceId, position, tokens, samples } = entry
  const name = nameOf(sequenceId, sequence)
  if (sequence === undefined) return `  ${name}`
  const numPrompt = sequence.request.promptTokens.length
  if (before?.status === 'running' && tokens.length === 1) {
    return `  ${name} decodes: output token ${position + 2 - numPrompt}, as every stream does in every step`
  }
  const total = sequence.tokens.length
  const part = `tokens ${position} to ${position + tokens.length - 1} of ${total}${samples ? ', and samples' : ''}`
  if (before?.status === 'running') return `  ${name} goes on with its prompt: ${part}`
  const came = before?.status === 'preempted' ? 'comes back after a preemption' : 'is admitted'
  const found = position > 0 ? `, ${position} tokens found in the prefix cache` : ''
  return `  ${name} ${came}: ${part}${found}`
}

function waitingLines(
  { queue }: PlanReplay,
  reason: WaitReason | undefined,
  { header, at }: { readonly header: PlanLogHeader; readonly at: Micros },
): string[] {
  const { size } = queue
  if (size === 0) return ['Nobody waits.']
  const lines = [
    `${size} wait. The first in line was not admitted: ${reason === undefined ? 'unknown' : reasons[reason](header)}.`,
  ]
  for (let count = 0; count < mostShown; count += 1) {
    const next = queue.peek(at)
    if (next === undefined) break
    queue.remove(next)
    const waited = ((at - next.request.arrivedAt) / 1e6).toFixed(3)
    lines.push(
      `  ${nameOf(next.id, next)}: ${next.tokens.length} tokens, ${next.status}, arrived ${waited} s ago`,
    )
  }
  if (size > mostShown) lines.push(`  and ${size - mostShown} more`)
  return lines
}

function nameOf(id: number, sequence: SequenceView | undefined): string {
  if (sequence === undefined) return `${id} (ended since)`
  const { tenant, serviceClass, program } = sequence.request
  return `${id} (tenant ${tenant}, ${serviceClass}${program === undefined ? '' : `, program ${program}`})`
}
