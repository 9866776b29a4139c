/** `switchyard profile`: where the time of an engine's steps goes, as a timeline and on one page. */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { prepareWorkload } from '../bench/prepare-workload.ts'
import { replay, type Loop } from '../bench/replay.ts'
import { openTarget, parseTarget } from '../bench/targets/target.ts'
import { findVocabulary } from '../bench/vocabulary.ts'
import type { CommandLine } from '../config/command-line.ts'
import { resolveSettings } from '../config/resolve.ts'
import type { Config } from '../config/schema.ts'
import { reasonOf, ServingError } from '../core/errors.ts'
import { measureLimits } from '../profile/machine-limits.ts'
import { readTrace } from '../profile/read-trace.ts'
import { summarise } from '../profile/summary.ts'
import { summaryText } from '../profile/summary-text.ts'
import type { Workload } from '../workload/workload.ts'
import { loopOf, workloadOptions } from './bench.ts'
import type { Command } from './command.ts'
import { costsOfFile } from './model-costs.ts'
import { profileSettings, type ProfileSettings } from './profile-settings.ts'
import { flagsWithModel, loadModel } from './serve.ts'
import { startServer } from './start-server.ts'

export const profile: Command = {
  usage: '[FILE] [options]',
  about:
    "Starts a server as serve does, loads it as bench does, and notes where each step's time goes: a timeline for\n" +
    'https://ui.perfetto.dev, and a page that says what the run was bound by. See docs/profile.md.',
  options: profileSettings,
  notes:
    'Examples:\n' +
    '  switchyard profile model.gguf\n' +
    '  switchyard profile model.gguf -w conv.csv --to-seconds 60 --out conv.json\n' +
    '  switchyard serve model.gguf --profile run.json; switchyard profile --trace run.json',
  run,
}

async function run(line: CommandLine): Promise<number> {
  const { values } = resolveSettings(profileSettings, { flags: flagsWithModel(line), env: process.env })
  if (values.trace !== undefined) return sumUp(values.trace, values)
  if (existsSync(values.out)) throw new ServingError('INVALID_CONFIG', `${values.out} is there already.`)
  const numFailed = await serveLoads(values)
  if (numFailed > 0) process.stderr.write(`${numFailed} requests failed.\n`)
  await sumUp(values.out, values)
  process.stderr.write(`Wrote ${values.out}; open it at https://ui.perfetto.dev\n`)
  return numFailed > 0 ? 1 : 0
}

interface Load {
  readonly workload: Workload
  readonly loop: Loop
}

/** Returns how many requests failed. */
async function serveLoads(values: ProfileSettings): Promise<number> {
  const config: Config = {
    ...values,
    profile: values.out,
    recordPlans: undefined,
    record: undefined,
    host: '127.0.0.1',
    port: 0,
    logLevel: 'warn',
  }
  const loads = await loadsOf(values)
  const server = await startServer(config)
  try {
    await loadModel(server.engine)
    const target = await openTarget(parseTarget(server.url), { apiKey: values.apiKey })
    const vocabulary = await findVocabulary(target)
    let numFailed = 0
    for (const [index, { workload, loop }] of loads.entries()) {
      const records = await replay({
        target,
        vocabulary,
        workload,
        loop,
        seed: values.seed + index,
        history: values.history,
        timeoutMs: 600_000,
        signal: new AbortController().signal,
      })
      numFailed += records.filter(({ error }) => error !== undefined).length
    }
    return numFailed
  } finally {
    await server.close()
  }
}

const doublingUsers = [1, 2, 4, 8, 16, 32]

/** Unless told otherwise: ever more requests at once, so that steps of every size are seen. */
async function loadsOf(values: ProfileSettings): Promise<Load[]> {
  const { workload, rate, scaleRate, concurrency } = values
  const isChosen = [workload, rate, scaleRate, concurrency].some((value) => value !== undefined)
  const levels = isChosen ? [undefined] : doublingUsers.filter((users) => users <= values.maxNumSeqs)
  const loads: Load[] = []
  for (const level of levels) {
    const users = level ?? concurrency
    const given = { ...values, requests: users ?? 64 }
    const { workload: prepared, remarks } = await prepareWorkload(workloadOptions(given))
    for (const remark of remarks) process.stderr.write(`${remark}\n`)
    loads.push({
      workload: prepared,
      loop: level === undefined ? loopOf(given) : { kind: 'closed', numUsers: level },
    })
  }
  return loads
}

async function sumUp(path: string, { device, threads }: ProfileSettings): Promise<number> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new ServingError('INVALID_CONFIG', `${path}: cannot be read (${reasonOf(cause)}).`, { cause })
  })
  const trace = readTrace(text, path)
  const { modelPath, numThreads, kvBytesPerToken } = trace.header
  const { weightType, ...costs } = costsOfFile(modelPath)
  const limits = await measureLimits({ device, numThreads: threads ?? numThreads, weightType })
  const summary = summarise(trace, { ...costs, kvBytesPerToken }, limits)
  process.stdout.write(summaryText(summary, trace.header, limits))
  return 0
}
