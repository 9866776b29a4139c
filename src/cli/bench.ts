/** `switchyard bench`: load on any OpenAI-compatible server, and what its users would have seen. */
import { setMaxListeners } from 'node:events'
import { writeFile } from 'node:fs/promises'

import type { CommandLine } from '../config/command-line.ts'
import { resolveSettings } from '../config/resolve.ts'
import {
  decimal,
  integer,
  optionalSetting,
  setting,
  text,
  type SettingTable,
  type SettingValues,
} from '../config/setting.ts'
import { ServingError } from '../core/errors.ts'
import { RandomStream } from '../core/random.ts'
import { poissonArrivals } from '../workload/arrivals.ts'
import { promptLength, runLoad, type Load } from './bench-client.ts'
import { makePrompts } from './bench-prompts.ts'
import { benchTable, summarizeRun } from './bench-report.ts'
import type { Command } from './command.ts'
import { findModel, parseEndpoint } from './openai-client.ts'
import { showProgress } from './terminal.ts'

const options = {
  url: setting(text, {
    group: 'Server',
    placeholder: 'URL',
    default: 'http://127.0.0.1:8000',
    about: 'Server to measure; any that has /v1/completions.',
  }),
  model: setting(text, {
    group: 'Server',
    short: 'm',
    placeholder: 'NAME',
    default: 'auto',
    about: 'Model name; auto takes the first that the server lists.',
  }),
  'api-key': optionalSetting(text, {
    group: 'Server',
    placeholder: 'KEY',
    secret: true,
    about: 'Bearer token.',
  }),
  requests: setting(integer(1), { group: 'Load', default: 64, about: 'How many requests to send.' }),
  concurrency: optionalSetting(integer(1), {
    group: 'Load',
    defaultText: '8',
    about: 'Closed loop: so many requests are under way at any time.',
  }),
  rate: optionalSetting(decimal({ above: 0 }), {
    group: 'Load',
    about: 'Open loop: so many requests a second on average, at Poisson times, however fast the answers are.',
  }),
  'prompt-tokens': setting(integer(1), { group: 'Load', default: 128, about: 'Length of each prompt.' }),
  'output-tokens': setting(integer(1), {
    group: 'Load',
    default: 128,
    about: 'Length of each answer: asked for with ignore_eos, so that the model cannot end it.',
  }),
  seed: setting(integer(0), { group: 'Load', default: 0, about: 'Seed of the prompts and arrival times.' }),
  json: optionalSetting(text, {
    group: 'Output',
    placeholder: 'FILE',
    about: 'Write the figures to this file; - writes them to standard output instead of the table.',
  }),
} as const satisfies SettingTable

type BenchOptions = SettingValues<typeof options>

export const bench: Command = {
  usage: '[options]',
  about:
    'Measures time to first token (TTFT), time between tokens (TBT), mean time per output token (TPOT),\n' +
    'end-to-end latency and throughput. In an open loop latencies count from the intended arrival.',
  options,
  run,
}

async function run(line: CommandLine): Promise<number> {
  const values = resolveSettings(options, line).values
  if (line.positionals.length > 0) {
    throw new ServingError('INVALID_CONFIG', `Unexpected argument "${line.positionals[0]}".`)
  }
  if (values.rate !== undefined && values.concurrency !== undefined) {
    throw new ServingError(
      'INVALID_CONFIG',
      '--rate and --concurrency exclude each other: open or closed loop.',
    )
  }
  const abort = new AbortController()
  // Every request under way listens.
  setMaxListeners(0, abort.signal)
  process.once('SIGINT', () => abort.abort())
  const load = await prepare(values, abort.signal)
  const { result, isExact } = await measure(load)
  await write(values, { ...description(values, load, isExact), ...result }, benchTable(result))
  if (abort.signal.aborted) return 130
  return result.numFailed > 0 || result.numCompleted === 0 ? 1 : 0
}

type Prepared = Omit<Load, 'onFinished'>

async function prepare(values: BenchOptions, signal: AbortSignal): Promise<Prepared> {
  const endpoint = parseEndpoint(values.url, values.apiKey)
  const model = values.model === 'auto' ? await findModel(endpoint) : values.model
  const random = new RandomStream(values.seed)
  return {
    endpoint,
    model,
    prompts: await makePrompts(endpoint, model, {
      count: values.requests,
      numTokens: values.promptTokens,
      random: random.split(0),
    }),
    outputTokens: values.outputTokens,
    arrivals:
      values.rate === undefined ? undefined : poissonArrivals(values.requests, values.rate, random.split(1)),
    concurrency: values.concurrency ?? 8,
    signal,
  }
}

async function measure(load: Prepared) {
  let numFinished = 0
  const hide = showProgress('Measuring', () => numFinished / load.prompts.length, process.stderr)
  const startedAt = performance.now()
  const records = await runLoad({ ...load, onFinished: () => (numFinished += 1) })
  hide()
  const isExact = load.prompts.every((prompt) => 'tokens' in prompt)
  return { result: summarizeRun(records, (performance.now() - startedAt) / 1000), isExact }
}

/** What was asked for, so that a file of figures explains itself. */
function description(values: BenchOptions, load: Prepared, isExact: boolean): object {
  return {
    url: values.url,
    model: load.model,
    loop: values.rate === undefined ? { concurrency: load.concurrency } : { ratePerSecond: values.rate },
    requests: values.requests,
    promptTokensEach: promptLength(load.prompts[0]!),
    promptTokensAreExact: isExact,
    outputTokensEach: values.outputTokens,
    seed: values.seed,
  }
}

async function write({ json }: BenchOptions, figures: object, table: string): Promise<void> {
  const content = `${JSON.stringify(figures, null, 2)}\n`
  process.stdout.write(json === '-' ? content : table)
  if (json === undefined || json === '-') return
  await writeFile(json, content).catch((cause: unknown) => {
    throw new ServingError('INTERNAL', `${json}: cannot be written (${String(cause)}).`, { cause })
  })
}
