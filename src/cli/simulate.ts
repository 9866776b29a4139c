/** `switchyard simulate`: a workload on engines that exist as figures alone, and what its users would see. */
import { renderReport } from '../bench/html/render-report.ts'
import { prepareWorkload } from '../bench/prepare-workload.ts'
import { textReport } from '../bench/text-report.ts'
import type { CommandLine } from '../config/command-line.ts'
import { resolveSettings } from '../config/resolve.ts'
import { ServingError } from '../core/errors.ts'
import { deviceNames } from '../simulator/latency/devices.ts'
import { modelNames } from '../simulator/latency/models.ts'
import type { SimulationResult } from '../simulator/simulate.ts'
import { goalsOf, loopOf, workloadOptions } from './bench.ts'
import { commandText } from './command-text.ts'
import type { Command } from './command.ts'
import { openLatency } from './latency-source.ts'
import { checkOutputs, writeOutput } from './output-file.ts'
import { simulatedReport } from './simulated-report.ts'
import { simulateWorkload } from './simulated-run.ts'
import { mostRows, RunningSummary, summarizeRecords } from './simulated-summary.ts'
import { simulateSettings } from './simulate-settings.ts'

export const simulate: Command = {
  usage: '[options]',
  about:
    'Serves a workload on engines that exist as figures alone: the scheduler, the memory manager and the routing\n' +
    'that serve real requests, under a clock that jumps from event to event. The report is that of bench.',
  options: simulateSettings,
  notes:
    `Devices: ${deviceNames.join(', ')}\n` +
    `Models by name: ${modelNames.join(', ')}; or any GGUF file.\n\n` +
    'Examples:\n' +
    '  switchyard simulate --latency machine.json -w agents:programs=50 --policy fcfs\n' +
    '  switchyard simulate --latency roofline:device=l4,model=llama-3.1-8b -w conv.csv --engines 8 --html fleet.html',
  run,
}

async function run(line: CommandLine): Promise<number> {
  if (line.positionals.length > 0) {
    throw new ServingError('INVALID_CONFIG', `Unexpected argument "${line.positionals[0]}".`)
  }
  const values = resolveSettings(simulateSettings, line).values
  const source = openLatency(values.latency)
  await checkOutputs([values.json, values.html])
  const { workload, remarks } = await prepareWorkload(workloadOptions(values))
  for (const remark of remarks) process.stderr.write(`${remark}\n`)
  const startedAt = performance.now()
  const numRequests = workload.requests.length * values.repeat
  const running = numRequests > mostRows ? new RunningSummary(numRequests, goalsOf(values)) : undefined
  const result = simulateWorkload(values, source, workload, running)
  const summary = running?.summary ?? summarizeRecords(result.records, goalsOf(values))
  const wallSeconds = (performance.now() - startedAt) / 1000
  const loop = loopOf(values)
  const report = simulatedReport({
    name: `${values.policy} x${values.engines}`,
    command: commandText(process.argv.slice(2)),
    workload,
    numTimes: values.repeat,
    seed: values.seed,
    loop,
    goals: goalsOf(values),
    source,
    summary,
  })
  const json = `${JSON.stringify(report)}\n`
  process.stdout.write(values.json === '-' ? json : `${textReport(report)}${engineLines(result)}`)
  process.stderr.write(
    `Simulated ${(result.endedAt / 1e6).toFixed(1)} s of ${summary.numRequests} requests in ${wallSeconds.toFixed(1)} s.\n`,
  )
  if (values.json !== undefined && values.json !== '-') await writeOutput(values.json, json)
  if (values.html !== undefined) await writeOutput(values.html, renderReport(report))
  return summary.hasFailures ? 1 : 0
}

function engineLines({ engines, endedAt }: SimulationResult): string {
  const numSteps = engines.reduce((sum, each) => sum + each.numSteps, 0)
  const busy = engines.reduce((sum, each) => sum + each.busyMicros, 0)
  const numPreemptions = engines.reduce((sum, each) => sum + each.numPreemptions, 0)
  const share = endedAt === 0 ? 0 : busy / endedAt / engines.length
  return `engines: ${engines.length}, busy ${(100 * share).toFixed(1)} % of the time, ${numSteps} steps, ${numPreemptions} preemptions\n`
}
