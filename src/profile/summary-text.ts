/** The summary as one page of text. Pure. */
import type { MachineLimits } from './bounds.ts'
import type { ProfileHeader } from './step-times.ts'
import type { BatchRow, KernelRates, ProfileSummary, Resource } from './summary.ts'

const resourceNames: Readonly<Record<Resource, string>> = {
  compute: 'computing',
  memory: 'memory traffic',
  javascript: "the host's JavaScript",
  waiting: 'waiting for blocks',
}

const mostBatchRows = 12

export function summaryText(summary: ProfileSummary, header: ProfileHeader, limits: MachineLimits): string {
  const { total, numSteps, numTokens, spent, boundBy } = summary
  const busy = Object.values(spent).reduce((sum, micros) => sum + micros, 0)
  const share = (micros: number) => percent(busy === 0 ? 0 : micros / busy)
  const others = Object.entries(spent)
    .filter(([resource]) => resource !== boundBy)
    .map(([resource, micros]) => `${resourceNames[resource as Resource]} ${share(micros)}`)
  return [
    `${header.modelPath.replace(/^.*[\\/]/, '')} on ${header.device}, ${header.numThreads} ${header.numThreads === 1 ? 'thread' : 'threads'}`,
    `${numSteps} steps, ${numTokens} tokens in ${seconds(total)}; idle for ${seconds(summary.idle)} of it.`,
    '',
    `Bound by ${resourceNames[boundBy]}: ${share(spent[boundBy])} of the time with work; ${others.join(', ')}.`,
    '',
    ...partLines(summary),
    '',
    'Kernels against the limits of this machine, measured now: ' +
      `${giga(limits.flopsPerSecond)} GFLOP/s, ${giga(limits.bytesPerSecond)} GB/s`,
    rateLine('steps that only decode', summary.decoding),
    rateLine('steps with prompts', summary.prompting),
    '',
    ...batchLines(summary.batches),
    ...crossingLines(summary),
    '',
  ].join('\n')
}

function partLines({
  steps,
  parts,
  kernelGroups,
  emit,
  garbage,
  blockWaits,
  numSteps,
}: ProfileSummary): string[] {
  const sum = Object.values(parts).reduce((total, micros) => total + micros, 0)
  const row = (name: string, micros: number) =>
    `  ${name.padEnd(26)}${milliseconds(micros / Math.max(1, numSteps)).padStart(10)}${percent(steps === 0 ? 0 : micros / steps).padStart(9)}`
  return [
    `${'A mean step'.padEnd(28)}${'ms'.padStart(10)}${'share'.padStart(9)}`,
    row('schedule', parts.schedule),
    row('build', parts.build),
    row('kernels', parts.kernels),
    ...kernelGroups.map(({ name, micros }) => row(`  ${name}`, micros)),
    row('read', parts.read),
    row('sample', parts.sample),
    row('all parts', sum),
    row('the step, measured', steps),
    row('emit (beside kernels)', emit),
    row('garbage collection in it', garbage),
    ...(blockWaits > 0 ? [row('waits for blocks', blockWaits)] : []),
  ]
}

function rateLine(name: string, rates: KernelRates): string {
  if (rates.numSteps === 0) return `  ${name}: none`
  return (
    `  ${name}: ${giga(rates.flopsPerSecond)} GFLOP/s (${percent(rates.shareOfFlops)}), ` +
    `${giga(rates.bytesPerSecond)} GB/s (${percent(rates.shareOfBytes)}); ` +
    `at the limits they would take ${percent(rates.shareOfBound)} of their time`
  )
}

function batchLines(batches: readonly BatchRow[]): string[] {
  if (batches.length === 0) return ['No step only decoded.']
  const stride = Math.ceil(batches.length / mostBatchRows)
  const shown = batches.filter((_, index) => index % stride === 0 || index === batches.length - 1)
  const cells = (values: readonly string[]) => values.map((value) => value.padStart(12)).join('')
  return [
    'Steps that only decode, by sequences; medians in ms:',
    `${cells(['sequences', 'steps', 'step', 'JavaScript', 'kernels', 'to read', 'to compute'])}  bound by`,
    ...shown.map(
      (row) =>
        `${cells([
          `${row.batch}`,
          `${row.numSteps}`,
          ...[row.step, row.javascript, row.kernels, row.memoryBound, row.computeBound].map(milliseconds),
        ])}  ${resourceNames[row.boundBy]}`,
    ),
    '("to read" and "to compute": what the kernels would take at the limits)',
  ]
}

function crossingLines({ crossings, batches }: ProfileSummary): string[] {
  const { javascriptUpTo, computeFrom } = crossings
  return [
    ...(batches.length === 0
      ? []
      : [
          javascriptUpTo === undefined
            ? 'JavaScript takes less than kernels at every number of sequences seen.'
            : `JavaScript takes longer than kernels up to ${javascriptUpTo} sequences.`,
        ]),
    `From ${Math.max(1, Math.ceil(computeFrom))} sequences on, computing takes longer than reading the weights, by the limits.`,
  ]
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`
const milliseconds = (micros: number): string => (micros / 1000).toFixed(3)
const seconds = (micros: number): string => `${(micros / 1e6).toFixed(2)} s`
const giga = (perSecond: number): string => (perSecond / 1e9).toFixed(1)
