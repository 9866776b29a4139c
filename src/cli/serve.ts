/** `switchyard serve`: a server until a signal ends it, or its engine fails for good. */
import { availableParallelism } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'

import type { CommandLine } from '../config/command-line.ts'
import { configText } from '../config/describe.ts'
import { loadConfig, type Resolved } from '../config/resolve.ts'
import { settings, type Config } from '../config/schema.ts'
import { optionalSetting, setting, text, toggle, type SettingTable } from '../config/setting.ts'
import { ServingError } from '../core/errors.ts'
import type { EngineClient } from '../engine/engine-client.ts'
import type { EngineInfo } from '../engine/protocol.ts'
import type { Command } from './command.ts'
import { packageVersion } from './package-info.ts'
import { startServer, type RunningServer } from './start-server.ts'
import { showProgress } from './terminal.ts'

/** Options that are no settings of the server. */
const extraOptions = {
  config: optionalSetting(text, {
    group: 'Configuration',
    placeholder: 'FILE',
    about: 'YAML file with the names of these options as keys, such as "port: 8000".',
  }),
  'print-config': setting(toggle, {
    group: 'Configuration',
    default: false,
    about: 'Show every setting, its value and where it was set, and leave.',
  }),
} as const satisfies SettingTable

export const serve: Command = {
  usage: '[FILE] [options]',
  about: 'Serves a model over an OpenAI-compatible API. FILE is short for --model FILE.',
  options: { ...settings, ...extraOptions },
  notes:
    'Every option is also an environment variable (--max-num-seqs: SWITCHYARD_MAX_NUM_SEQS) and a key of the\n' +
    'file. An option wins over the environment, the environment over the file.\n\n' +
    'Ctrl-C finishes the answers under way and leaves; a second one leaves at once.',
  run,
}

async function run(line: CommandLine): Promise<number> {
  const config = loadConfig(flagsWithModel(line), process.env)
  if (line.flags.get('print-config') === 'true') {
    process.stdout.write(configText(config))
    return 0
  }
  return serveUntilSignal(config)
}

/** The model may be named without a flag, as the one positional argument. */
export function flagsWithModel({ flags, positionals }: CommandLine): ReadonlyMap<string, string> {
  const [model, ...others] = positionals
  if (model === undefined) return flags
  if (others.length > 0) throw new ServingError('INVALID_CONFIG', `Unexpected argument "${others[0]}".`)
  if (flags.has('model')) {
    throw new ServingError('INVALID_CONFIG', `The model is named twice: "${model}" and --model.`)
  }
  return new Map([...flags, ['model', model]])
}

async function serveUntilSignal({ values }: Resolved<Config>): Promise<number> {
  const signals = watchSignals()
  warnOfThreads(values.threads)
  const server = await startServer(values)
  process.on('SIGHUP', () => reloadKeys(server))
  const failed = server.engine.failed()
  const loaded = loadModel(server.engine)
  const first = await Promise.race([signals.first.then(() => undefined), orClose(loaded, server)])
  if (first !== undefined) process.stdout.write(readyLine(server, first))
  await Promise.race([signals.first, failed])
  const hasEngine = server.engine.status.state !== 'failed'
  if (hasEngine) process.stderr.write('Finishing what is under way. Ctrl-C again leaves at once.\n')
  await Promise.race([server.drain(), failed.then(() => sleep(farewellMillis))])
  // A server without an engine ends as a failure: whoever supervises it starts another, or is told.
  const failure = server.engine.status.state === 'failed' ? await failed : undefined
  await server.close()
  if (failure !== undefined) throw failure
  return 0
}

function warnOfThreads(numThreads = 1): void {
  const numCores = availableParallelism()
  if (numThreads <= numCores) return
  const why = 'they spin while they wait for each other, so that every step takes many times as long'
  process.stderr.write(`${numThreads} threads on ${numCores} cores: ${why}.\n`)
}

/** How long clients may take to read that their answers failed. */
const farewellMillis = 1000

function reloadKeys(server: RunningServer): void {
  try {
    server.reloadKeys()
    process.stderr.write('Read the API keys again.\n')
  } catch (error) {
    process.stderr.write(
      `The API keys stay as they were: ${error instanceof Error ? error.message : error}\n`,
    )
  }
}

/** A model that cannot be loaded ends the server too. */
async function orClose(loaded: Promise<EngineInfo>, server: RunningServer): Promise<EngineInfo> {
  try {
    return await loaded
  } catch (error) {
    await server.close()
    throw error
  }
}

/** Waits for the model, with a bar where there is a terminal. */
export async function loadModel(engine: EngineClient): Promise<EngineInfo> {
  const progress = (): number | undefined =>
    engine.status.state === 'loading' ? engine.status.progress : undefined
  const hide = showProgress('Loading', progress, process.stderr)
  try {
    return await engine.ready()
  } finally {
    hide()
  }
}

/** The second signal ends the process, whatever the first one is waiting for: 128 + 2, as shells count. */
function watchSignals(): { readonly first: Promise<void> } {
  let count = 0
  const first = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => {
        count += 1
        if (count > 1) process.exit(130)
        resolve()
      })
    }
  })
  return { first }
}

function readyLine({ url, modelName }: RunningServer, info: EngineInfo): string {
  const threads = `${info.numThreads} ${info.numThreads === 1 ? 'thread' : 'threads'}`
  return `Switchyard ${packageVersion()} serves ${modelName} on ${url} (${info.device}, ${threads})\n`
}
