/** `switchyard calibrate`: measures how long steps take here, for `switchyard simulate`. */
import { mkdtemp, rm } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { openTarget, parseTarget } from '../bench/targets/target.ts'
import type { CommandLine } from '../config/command-line.ts'
import { resolveSettings } from '../config/resolve.ts'
import { settings, type Config } from '../config/schema.ts'
import { decimal, setting, text, without, type SettingTable, type SettingValues } from '../config/setting.ts'
import { ServingError } from '../core/errors.ts'
import type { EngineInfo } from '../engine/protocol.ts'
import { fitSteps, heldOutError } from '../simulator/latency/measured.ts'
import { fitOverheads } from '../simulator/latency/overheads.ts'
import { measurementsOf, type LogMeasurements } from '../simulator/latency/samples-of-log.ts'
import type { PlanLogHeader, PlanLogLine } from '../simulator/replay/plan-log.ts'
import { runCalibrationLoad, type AloneRecords } from './calibration-load.ts'
import type { Command } from './command.ts'
import type { LatencyFile } from './latency-file.ts'
import { checkOutputs, writeOutput } from './output-file.ts'
import { packageVersion } from './package-info.ts'
import { readPlanLog } from './plan-log-file.ts'
import { flagsWithModel, loadModel } from './serve.ts'
import { startServer } from './start-server.ts'

const served = without(settings, 'profile', 'record-plans', 'record', 'port', 'host')

const options = {
  out: setting(text, {
    group: 'Calibration',
    placeholder: 'FILE',
    default: 'latency.json',
    about: 'Where to write what was measured.',
  }),
  seconds: setting(decimal({ min: 5 }), {
    group: 'Calibration',
    default: 120,
    about: 'How long to load the server, beside a few requests one by one.',
  }),
  ...served,
} as const satisfies SettingTable

type CalibrateSettings = SettingValues<typeof options>

export const calibrate: Command = {
  usage: '[FILE] [options]',
  about:
    'Starts a server as serve does, loads it with prompts and streams of every size, and writes down how long its\n' +
    'steps take, for switchyard simulate --latency FILE. Leave the machine alone meanwhile.',
  options,
  run,
}

async function run(line: CommandLine): Promise<number> {
  const { values } = resolveSettings(options, { flags: flagsWithModel(line), env: process.env })
  await checkOutputs([values.out])
  const folder = await mkdtemp(join(tmpdir(), 'switchyard-calibrate-'))
  try {
    const log = join(folder, 'plans.jsonl')
    const { alone, info } = await load(values, log)
    const measurements = await readMeasurements(log)
    const file = describe(values, info, { measurements, alone })
    await writeOutput(values.out, `${JSON.stringify(file, null, 2)}\n`)
    process.stdout.write(summary(values.out, file))
    return 0
  } finally {
    await rm(folder, { recursive: true })
  }
}

async function load(
  values: CalibrateSettings,
  recordPlans: string,
): Promise<{ readonly alone: AloneRecords; readonly info: EngineInfo }> {
  const config: Config = {
    ...values,
    recordPlans,
    record: undefined,
    profile: undefined,
    host: '127.0.0.1',
    port: 0,
    logLevel: 'warn',
  }
  const server = await startServer(config)
  try {
    const info = await loadModel(server.engine)
    const target = await openTarget(parseTarget(server.url), { apiKey: values.apiKey })
    const alone = await runCalibrationLoad({
      target,
      maxModelLen: info.maxModelLen,
      maxNumSeqs: values.maxNumSeqs,
      kvTokens: info.numBlocks * info.blockSize,
      seconds: values.seconds,
      onLevel: (numUsers) => process.stderr.write(`${numUsers} at once\n`),
    })
    return { alone, info }
  } finally {
    await server.close()
  }
}

async function readMeasurements(path: string): Promise<LogMeasurements> {
  const values: (PlanLogHeader | PlanLogLine)[] = []
  for await (const value of readPlanLog(path)) values.push(value)
  const [header, ...lines] = values
  return measurementsOf(header as PlanLogHeader, lines as PlanLogLine[])
}

const leastSteps = 200

function describe(
  values: CalibrateSettings,
  info: EngineInfo,
  { measurements, alone }: { readonly measurements: LogMeasurements; readonly alone: AloneRecords },
): LatencyFile {
  const { samples, firstTokens } = measurements
  if (samples.length < leastSteps) {
    throw new ServingError(
      'INVALID_CONFIG',
      `${samples.length} steps are too few to go by; give more --seconds.`,
    )
  }
  const { fit, disturbed } = fitSteps(samples)
  const { numBlocks, blockSize, maxModelLen, device, numThreads } = info
  const model = basename(values.model).replace(/\.gguf$/i, '')
  return {
    format: 'switchyard-latency/2',
    createdAt: new Date().toISOString(),
    version: packageVersion(),
    machine: {
      cpu: cpus()[0]?.model ?? 'unknown',
      numCores: cpus().length,
      platform: `${process.platform} ${process.arch}`,
    },
    engine: { model, device, numThreads, numBlocks, blockSize, maxModelLen },
    step: fit,
    ...fitOverheads(alone.startedAt, alone.records, firstTokens),
    error: heldOutError(samples),
    disturbed,
  }
}

function summary(path: string, { error, step, request, answerMicros, disturbed }: LatencyFile): string {
  const percent = (share: number): string => `${(100 * share).toFixed(1)} %`
  return [
    `${error.numFitted + error.numHeldOut} steps, ${step.coefficients.length} coefficients.`,
    `Steps that the fit has not seen: off by ${percent(error.mean)} on average, ${percent(error.p50)} at the median, ` +
      `${percent(error.p90)} at the 90th percentile; ${percent(error.bias)} in sum.`,
    `Steps that do the same differ by ${percent(error.noise)}: no fit can be nearer.`,
    `Disturbed steps, left out: ${percent(disturbed.steps)}, with ${percent(disturbed.time)} of the time.`,
    ...(disturbed.time > 0.05
      ? ['WARNING: this machine was busy with something else. Calibrate again when it is not.']
      : []),
    `A request takes ${request.micros.toFixed(0)} us and ${request.microsPerToken.toFixed(2)} us a token to the engine; ` +
      `a token ${answerMicros.toFixed(0)} us back to the client.`,
    `Wrote ${path}`,
    '',
  ].join('\n')
}
