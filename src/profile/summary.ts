/** Where a profiled run's time went, and what it was bound by. Pure. */
import { boundOf, computeCrossing, type BoundModel, type MachineLimits, type StepBound } from './bounds.ts'
import { hostParts, type HostPart, type Span, type Trace, type TracedStep } from './read-trace.ts'

/** What time is spent on. */
export type Resource = 'compute' | 'memory' | 'javascript' | 'waiting'

export interface ProfileSummary {
  /** Microseconds from the first step's start to the last one's end. */
  readonly total: number
  readonly numSteps: number
  readonly numTokens: number
  /** Steps together, as measured from start to end; and the sum of their parts. */
  readonly steps: number
  readonly parts: Readonly<Record<HostPart, number>> & { readonly kernels: number }
  /** Of the kernels, by group of layers, in their order. */
  readonly kernelGroups: readonly { readonly name: string; readonly micros: number }[]
  /** JavaScript that ran while kernels did. */
  readonly emit: number
  /** Of the JavaScript between kernels. */
  readonly garbage: number
  readonly idle: number
  readonly blockWaits: number
  /** Time with work, by what it was spent on; kernels by what limits them. */
  readonly spent: Readonly<Record<Resource, number>>
  readonly boundBy: Resource
  /** Steps that only decode, and the others. */
  readonly decoding: KernelRates
  readonly prompting: KernelRates
  readonly batches: readonly BatchRow[]
  readonly crossings: Crossings
}

/** Kernels against the machine's limits; 1 is the limit. */
export interface KernelRates {
  readonly numSteps: number
  readonly flopsPerSecond: number
  readonly bytesPerSecond: number
  readonly shareOfFlops: number
  readonly shareOfBytes: number
  /** The least time that the limits allow, over the time taken. */
  readonly shareOfBound: number
}

/** Steps in which so many sequences decode and nothing else happens; medians, in microseconds. */
export interface BatchRow {
  readonly batch: number
  readonly numSteps: number
  readonly step: number
  readonly javascript: number
  readonly kernels: number
  readonly memoryBound: number
  readonly computeBound: number
  readonly boundBy: Resource
}

export interface Crossings {
  /** The largest batch seen whose JavaScript took longer than its kernels; undefined: none. */
  readonly javascriptUpTo: number | undefined
  /** The batch from which on products take longer than reading the weights, by the limits. */
  readonly computeFrom: number
}

interface Costed {
  readonly step: TracedStep
  readonly bound: StepBound
  readonly javascript: number
  readonly kernels: number
}

export function summarise(trace: Trace, model: BoundModel, limits: MachineLimits): ProfileSummary {
  const { steps } = trace
  const costed = steps.map((step): Costed => ({
    step,
    bound: boundOf(step.work, model, limits),
    javascript: hostParts.reduce((sum, part) => sum + lengthOf(step.host[part]), 0),
    kernels: kernelMicros(step),
  }))
  const sumOf = (of: (each: Costed) => number) => costed.reduce((sum, each) => sum + of(each), 0)
  const partSum = (part: HostPart) => sumOf(({ step }) => lengthOf(step.host[part]))
  const isMemoryBound = ({ bound }: Costed) => bound.memoryMicros >= bound.computeMicros
  const blockWaits = trace.blockWaits.reduce((sum, span) => sum + lengthOf(span), 0)
  const spent = {
    compute: sumOf((each) => (isMemoryBound(each) ? 0 : each.kernels)),
    memory: sumOf((each) => (isMemoryBound(each) ? each.kernels : 0)),
    javascript: sumOf(({ javascript }) => javascript),
    waiting: blockWaits,
  }
  const batches = batchRows(costed)
  const ofHost = batches.filter(({ javascript, kernels }) => javascript > kernels)
  return {
    total: (steps.at(-1)?.to ?? 0) - (steps[0]?.from ?? 0),
    numSteps: steps.length,
    numTokens: sumOf(({ step: { work } }) => work.numDecodes + work.numPrefillTokens),
    steps: sumOf(({ step }) => lengthOf(step)),
    parts: {
      schedule: partSum('schedule'),
      build: partSum('build'),
      read: partSum('read'),
      sample: partSum('sample'),
      kernels: sumOf(({ kernels }) => kernels),
    },
    kernelGroups: kernelGroups(steps),
    emit: sumOf(({ step }) => lengthOf(step.emit)),
    garbage: collectedIn(trace),
    idle: trace.idle.reduce((sum, span) => sum + lengthOf(span), 0),
    blockWaits,
    spent,
    boundBy: largestOf(spent),
    decoding: ratesOf(
      costed.filter(({ step }) => step.work.numPrefillTokens === 0),
      limits,
    ),
    prompting: ratesOf(
      costed.filter(({ step }) => step.work.numPrefillTokens > 0),
      limits,
    ),
    batches,
    crossings: {
      javascriptUpTo: ofHost.length === 0 ? undefined : Math.max(...ofHost.map(({ batch }) => batch)),
      computeFrom: computeCrossing(model, limits),
    },
  }
}

function ratesOf(steps: readonly Costed[], limits: MachineLimits): KernelRates {
  const sum = (of: (each: Costed) => number) => steps.reduce((total, each) => total + of(each), 0)
  const micros = sum(({ kernels }) => kernels)
  const perSecond = (amount: number) => (micros === 0 ? 0 : (amount / micros) * 1e6)
  const flopsPerSecond = perSecond(sum(({ bound }) => bound.flops))
  const bytesPerSecond = perSecond(sum(({ bound }) => bound.bytes))
  const least = sum(({ bound }) => Math.max(bound.computeMicros, bound.memoryMicros))
  return {
    numSteps: steps.length,
    flopsPerSecond,
    bytesPerSecond,
    shareOfFlops: flopsPerSecond / limits.flopsPerSecond,
    shareOfBytes: bytesPerSecond / limits.bytesPerSecond,
    shareOfBound: micros === 0 ? 0 : least / micros,
  }
}

/** Sizes seen less often than this are left out where there are others. */
const fewSteps = 5

function batchRows(steps: readonly Costed[]): BatchRow[] {
  const byBatch = new Map<number, Costed[]>()
  for (const each of steps) {
    const { numDecodes, numPrefillTokens } = each.step.work
    if (numPrefillTokens > 0) continue
    byBatch.set(numDecodes, [...(byBatch.get(numDecodes) ?? []), each])
  }
  const rows = [...byBatch].map(([batch, own]): BatchRow => {
    const medianOf = (of: (each: Costed) => number) => median(own.map(of))
    const javascript = medianOf((each) => each.javascript)
    const kernels = medianOf((each) => each.kernels)
    const memoryBound = medianOf(({ bound }) => bound.memoryMicros)
    const computeBound = medianOf(({ bound }) => bound.computeMicros)
    const isMemoryBound = memoryBound >= computeBound
    return {
      batch,
      numSteps: own.length,
      step: medianOf(({ step }) => lengthOf(step)),
      javascript,
      kernels,
      memoryBound,
      computeBound,
      boundBy: javascript > kernels ? 'javascript' : isMemoryBound ? 'memory' : 'compute',
    }
  })
  const usual = rows.filter(({ numSteps }) => numSteps >= fewSteps)
  return (usual.length > 0 ? usual : rows).toSorted((a, b) => a.batch - b.batch)
}

function kernelGroups(steps: readonly TracedStep[]): { name: string; micros: number }[] {
  const sums = new Map<string, number>()
  for (const { kernels } of steps)
    for (const { name, micros } of kernels) sums.set(name, (sums.get(name) ?? 0) + micros)
  return [...sums].map(([name, micros]) => ({ name, micros }))
}

/** Garbage collection that fell between kernels. Both lists are in order of time. */
function collectedIn({ steps, collections }: Trace): number {
  const spans = steps.flatMap(({ host }) =>
    hostParts.map((part) => host[part]).filter((span) => span !== undefined),
  )
  let sum = 0
  let next = 0
  for (const collection of collections.toSorted((a, b) => a.from - b.from)) {
    while (next < spans.length && spans[next]!.to <= collection.from) next += 1
    for (let at = next; at < spans.length && spans[at]!.from < collection.to; at += 1) {
      sum += Math.min(collection.to, spans[at]!.to) - Math.max(collection.from, spans[at]!.from)
    }
  }
  return sum
}

function largestOf(spent: Readonly<Record<Resource, number>>): Resource {
  const sorted = Object.entries(spent).toSorted(([, a], [, b]) => b - a)
  return sorted[0]![0] as Resource
}

function lengthOf(span: Span | undefined): number {
  return span === undefined ? 0 : span.to - span.from
}

function kernelMicros({ kernels }: TracedStep): number {
  return kernels.reduce((sum, { micros }) => sum + micros, 0)
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}
