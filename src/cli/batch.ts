/** `switchyard batch run FILE`: what the batches of a server do, for one file and without a server. */
import { existsSync, rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { CommandLine } from '../config/command-line.ts'
import { loadConfig } from '../config/resolve.ts'
import { settings, type Config } from '../config/schema.ts'
import { optionalSetting, text, type Setting } from '../config/setting.ts'
import { ServingError } from '../core/errors.ts'
import { isFinal, type Batch } from '../storage/batch-store.ts'
import type { Store } from '../storage/store.ts'
import { digestOf, endpointOf, importFile, mergeResults } from './batch-files.ts'
import { showBatch } from './batch-progress.ts'
import type { Command } from './command.ts'
import { loadModel } from './serve.ts'
import { startServer, type RunningServer } from './start-server.ts'

const groups = ['Model', 'Device', 'KV cache', 'Scheduling', 'Files and batches']
const keys = ['max-body-bytes', 'max-messages', 'max-choices', 'log-level', 'record', 'record-plans']

/** What a server needs that nobody can reach. */
const ownSettings: Readonly<Record<string, Setting<unknown>>> = Object.fromEntries(
  Object.entries<Setting<unknown>>(settings).filter(
    ([key, { group }]) => (groups.includes(group) || keys.includes(key)) && key !== 'data-dir',
  ),
)

const out = optionalSetting(text, {
  group: 'Batch',
  short: 'o',
  placeholder: 'FILE',
  defaultText: 'the name of the input with .results.jsonl',
  about: 'New file for the results: one line for each request, in the order of the input.',
})

export const batch: Command = {
  usage: 'run FILE [options]',
  about:
    "Answers each request of a JSON Lines file in OpenAI's batch form, sharing what the prompts have in common.\n" +
    'What is done is kept: after Ctrl-C or a crash the same command goes on. See docs/batches.md.',
  options: { out, ...ownSettings },
  notes: 'Exit status: 0 when every request was answered, 1 when some failed, 130 after Ctrl-C.',
  run,
}

const interrupted = 130

async function run({ flags, positionals }: CommandLine): Promise<number> {
  const [action, input, ...others] = positionals
  if (action !== 'run' || input === undefined || others.length > 0) {
    throw new ServingError('INVALID_CONFIG', 'Usage: switchyard batch run FILE [options]')
  }
  const { out: given, ...serverFlags } = Object.fromEntries(flags)
  const output = given ?? input.replace(/\.jsonl$/i, '') + '.results.jsonl'
  const endpoint = await endpointOf(input)
  if (existsSync(output)) {
    throw new ServingError('INVALID_CONFIG', `${output} exists; name another file with --out.`)
  }
  const { values } = loadConfig(new Map(Object.entries(serverFlags)), process.env)
  // One user: how much is logged matters only when something is wrong.
  const logLevel = flags.has('log-level') ? values.logLevel : 'error'
  return answerFile({ ...values, logLevel, dataDir: `${output}.progress` }, { input, output, endpoint })
}

interface Job {
  readonly input: string
  readonly output: string
  readonly endpoint: string
}

async function answerFile(config: Config & { readonly dataDir: string }, job: Job): Promise<number> {
  const interrupt = new AbortController()
  process.once('SIGINT', () => interrupt.abort())
  process.once('SIGTERM', () => interrupt.abort())
  const server = await startServer(config, { listens: false })
  try {
    await loadModel(server.engine)
    const { store, worker } = await server.batches.open()
    const { id } = await findOrCreate(store, job)
    worker.wake()
    const ended = await followToEnd(server, store, id, interrupt.signal)
    if (ended === undefined) {
      await server.drain()
      return stopped(store.batches.find(id, '')!)
    }
    return await conclude(store, ended, job)
  } finally {
    await server.close()
    if (existsSync(job.output)) rmSync(config.dataDir, { recursive: true, force: true })
  }
}

/** The batch of an earlier run of the same input, whatever became of it, or a new one. */
async function findOrCreate(store: Store, { input, endpoint }: Job): Promise<Batch> {
  const digest = await digestOf(input)
  const [earlier] = store.batches.list('', { after: undefined, limit: 1 })
  if (earlier !== undefined && earlier.status !== 'failed') {
    if (earlier.metadata['sha256'] === digest) return earlier
    throw new ServingError(
      'INVALID_CONFIG',
      `${input} has changed since an earlier run, whose results are in ${store.dir}. Remove that folder to begin anew.`,
    )
  }
  const file = await importFile(store, input)
  return store.batches.create({
    owner: '',
    tenant: 'default',
    weight: 1,
    endpoint,
    inputFile: file.id,
    completionWindow: 'none',
    metadata: { sha256: digest },
    createdAt: file.createdAt,
    expiresAt: Number.MAX_SAFE_INTEGER,
  })
}

/** Undefined when it was interrupted. */
async function followToEnd(
  server: RunningServer,
  store: Store,
  id: string,
  signal: AbortSignal,
): Promise<Batch | undefined> {
  const view = showBatch(process.stderr)
  const failed = server.engine.failed()
  try {
    for (;;) {
      const current = store.batches.find(id, '')!
      view.update(current)
      if (isFinal(current.status)) return current
      if (signal.aborted) return undefined
      const failure = await Promise.race([failed, sleep(100, undefined, { signal }).catch(() => undefined)])
      if (failure !== undefined) throw failure
    }
  } finally {
    view.close()
  }
}

function stopped({ completed, failed, total }: Batch): number {
  process.stderr.write(`Stopped after ${completed + failed} of ${total}. The same command goes on.\n`)
  return interrupted
}

async function conclude(store: Store, ended: Batch, { output }: Job): Promise<number> {
  const { errors, completed, failed, total } = ended
  if (ended.status !== 'completed') {
    const lines = errors.map(({ line, param, message }) =>
      [line === null ? '' : `line ${line}: `, param === null ? '' : `${param}: `, message].join(''),
    )
    throw new ServingError('INVALID_REQUEST', ['The file cannot be run.', ...lines].join('\n  '))
  }
  await mergeResults(store, ended, output)
  const failures = failed === 0 ? '' : `, ${failed} of them with an error`
  process.stdout.write(`${output}: ${total} results${failures}\n`)
  return completed === total ? 0 : 1
}
