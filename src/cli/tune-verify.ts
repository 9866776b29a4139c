/** A workload on the real engine, with settings that `switchyard tune` has found. */
import type { TargetFigures } from '../bench/bench-report.ts'
import { figuresOf } from '../bench/figures.ts'
import { replay } from '../bench/replay.ts'
import { openTarget, parseTarget } from '../bench/targets/target.ts'
import { findVocabulary } from '../bench/vocabulary.ts'
import { resolveSettings } from '../config/resolve.ts'
import { settings, type Config } from '../config/schema.ts'
import type { Candidate } from '../simulator/tuning/search.ts'
import type { Workload } from '../workload/workload.ts'
import { goalsOf, loopOf } from './bench.ts'
import { loadModel } from './serve.ts'
import { startServer } from './start-server.ts'
import type { TuneSettings } from './tune-settings.ts'

/** A server of its own, so that nothing is cached. @throws {ServingError} INVALID_MODEL, INVALID_CONFIG */
export async function serveCandidate(
  values: TuneSettings,
  candidate: Candidate,
  workload: Workload,
): Promise<TargetFigures> {
  const server = await startServer(configOf(values, candidate))
  try {
    await loadModel(server.engine)
    const target = await openTarget(parseTarget(server.url), { model: undefined })
    const records = await replay({
      target,
      vocabulary: await findVocabulary(target),
      workload,
      seed: values.seed,
      loop: loopOf(values),
      history: values.history,
      timeoutMs: 600_000,
      signal: new AbortController().signal,
    })
    return figuresOf(records, goalsOf(values))
  } finally {
    await server.close()
  }
}

function configOf(values: TuneSettings, candidate: Candidate): Config {
  const { values: config } = resolveSettings(settings, { flags: new Map(Object.entries(candidate)) })
  return {
    ...config,
    model: values.model!,
    threads: values.threads,
    maxModelLen: values.maxModelLen,
    kvCacheTokens: values.kvCacheTokens,
    prefixCache: values.prefixCache,
    serviceClasses: values.serviceClasses,
    host: '127.0.0.1',
    port: 0,
    logLevel: 'warn',
  }
}
