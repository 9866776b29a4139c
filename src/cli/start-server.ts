/** Builds a server from its settings: engine, tokenizer, template, HTTP. `serve` and `chat` both start here. */
import { basename, join } from 'node:path'

import type { BatchService } from '../api/batch-service.ts'
import { sha256 } from '../api/key-ring.ts'
import { createServer, type ApiServer } from '../api/server.ts'
import { readApiKeys } from '../config/api-keys.ts'
import { openRecordingFile, type RecordingFile } from '../api/workload-recorder.ts'
import type { Config } from '../config/schema.ts'
import { reasonOf, ServingError } from '../core/errors.ts'
import type { ModelCard } from '../core/model-card.ts'
import { sharedKey, type ApiKey } from '../core/tenant.ts'
import { createEngine, type EngineOptions } from '../engine/create-engine.ts'
import type { EngineClient } from '../engine/engine-client.ts'
import { systemClock } from '../engine/system-clock.ts'
import { userPackageDir } from '../ggml/platform.ts'
import { openGguf } from '../model/gguf-reader.ts'
import { readModelCard } from '../model/model-card.ts'
import { checkModel } from '../model/model-spec.ts'
import { createChatTemplate } from '../text/chat-template.ts'
import { openLlamaTokenizer } from '../text/llama-tokenizer.ts'
import type { Tokenizer } from '../text/tokenizer.ts'
import { packageVersion } from './package-info.ts'

export interface RunningServer {
  readonly url: string
  readonly modelName: string
  readonly engine: EngineClient
  readonly batches: BatchService
  /** Reads the file of keys again. @throws {ServingError} INVALID_CONFIG, and the old keys stay. */
  reloadKeys(): void
  /** Takes no new work; resolves when what is under way has ended. */
  drain(): Promise<void>
  /** Ends the listener, the engine and the tokenizer, whatever is under way. */
  close(): Promise<void>
}

/** What may differ between a server and a program that uses one within itself. */
export interface StartOptions {
  /** False: nobody can reach it but this program; its URL is empty. */
  readonly listens?: boolean
  /** Changes what no setting does, for comparisons. */
  readonly vary?: (options: EngineOptions) => EngineOptions
}

/**
 * Resolves as soon as the server listens, which is before the model is loaded: `engine.ready()` tells when it is.
 * @throws {ServingError} INVALID_MODEL, LIBRARY_NOT_FOUND, or INTERNAL when the address cannot be had.
 */
export async function startServer(config: Config, options: StartOptions = {}): Promise<RunningServer> {
  const card = requireModel(config.model)
  refuseContradictions(config)
  const recording = await openRecording(config)
  const engineSettings = engineOptions(config)
  const engine = createEngine(options.vary?.(engineSettings) ?? engineSettings)
  let tokenizer: Tokenizer | undefined
  try {
    tokenizer = openLlamaTokenizer(config.model)
    return await listen(config, { engine, tokenizer, card, recording }, options)
  } catch (error) {
    await engine.close()
    tokenizer?.close()
    await recording?.close()
    throw error
  }
}

function refuseContradictions({ prefixCache, kvHost, kvDisk }: Config): void {
  if (prefixCache || kvHost + kvDisk === 0) return
  const option = kvDisk > 0 ? '--kv-disk' : '--kv-host'
  throw new ServingError('INVALID_CONFIG', `${option} needs the prefix cache: leave out --no-prefix-cache.`)
}

async function openRecording({ record }: Config): Promise<RecordingFile | undefined> {
  return record === undefined ? undefined : openRecordingFile(record, systemClock.now())
}

interface Parts {
  readonly engine: EngineClient
  readonly tokenizer: Tokenizer
  readonly card: ModelCard
  readonly recording: RecordingFile | undefined
}

async function listen(
  config: Config,
  { engine, tokenizer, card, recording }: Parts,
  { listens = true }: StartOptions,
): Promise<RunningServer> {
  const modelNames = config.servedModelName ?? [basename(config.model).replace(/\.gguf$/i, '')]
  const server = createServer({
    engine,
    tokenizer,
    chat: createChatTemplate(tokenizer.chatTemplate, tokenizer),
    clock: systemClock,
    config: {
      servedModelNames: modelNames,
      apiKeys: readKeys(config),
      serviceClasses: config.serviceClasses,
      refuseLate: config.refuseLate,
      maxTimelines: config.maxTimelines,
      admission: {
        maxRequests: config.maxQueueRequests,
        maxTokens: config.maxQueueTokens,
        maxTenantRequests: config.maxTenantRequests ?? config.maxQueueRequests,
        maxTenantTokens: config.maxTenantTokens ?? config.maxQueueTokens,
        lateFactor: config.lateFactor,
      },
      maxBodyBytes: config.maxBodyBytes,
      responseStoreBytes: config.responseStore,
      pooling: config.pooling === 'auto' ? undefined : config.pooling,
      maxMessages: config.maxMessages,
      maxChoices: config.maxChoices,
      toolParser: config.toolParser,
      reasoningParser: config.reasoningParser,
      files: {
        dataDir: config.dataDir,
        maxFileBytes: config.maxFileBytes,
        maxBatchLines: config.maxBatchLines,
        maxBatchInFlight: config.maxBatchInFlight,
      },
    },
    version: packageVersion(),
    card,
    logLevel: config.logLevel,
    recorder: recording?.recorder,
  })
  if (listens) await bind(server, config)
  else await server.app.ready()
  return {
    url: listens ? listeningUrl(server) : '',
    modelName: modelNames[0]!,
    engine,
    batches: server.batches,
    reloadKeys: () => server.replaceKeys(readKeys(config) ?? []),
    drain: () => server.drain(),
    async close() {
      await server.close()
      await engine.close()
      tokenizer.close()
      await recording?.close()
    },
  }
}

/** The keys of `--api-keys` and `--api-key` together; undefined when neither is set. */
function readKeys({ apiKey, apiKeys }: Config): readonly ApiKey[] | undefined {
  if (apiKey === undefined && apiKeys === undefined) return undefined
  const shared = apiKey === undefined ? [] : [sharedKey(sha256(apiKey))]
  return apiKeys === undefined ? shared : [...shared, ...readApiKeys(apiKeys)]
}

/** Reads the head of the file before anything is started, so that a wrong file is told at once. */
function requireModel(path: string): ModelCard {
  const gguf = openGguf(path)
  try {
    checkModel(gguf)
    return readModelCard(gguf)
  } finally {
    gguf.close()
  }
}

function engineOptions(config: Config): EngineOptions {
  return {
    executor: {
      kind: 'ggml',
      modelPath: config.model,
      device: config.device,
      numThreads: config.threads,
      maxModelLen: config.maxModelLen,
      kvCacheTokens: config.kvCacheTokens,
      blockSize: config.blockSize,
      cacheTypeK: config.cacheTypeK,
      cacheTypeV: config.cacheTypeV,
      cacheRotate: config.cacheRotate,
      batchInvariant: config.batchInvariant,
      maxNumSeqs: config.maxNumSeqs,
      maxNumBatchedTokens: config.maxNumBatchedTokens,
    },
    eviction: config.prefixCache ? config.kvEviction : undefined,
    recordPlans: config.recordPlans,
    profile: config.profile,
    tiers: {
      hostBytes: config.kvHost,
      diskBytes: config.kvDisk,
      diskDir: config.kvDiskDir ?? join(userPackageDir(), 'kv'),
      diskKeep: config.kvDiskKeep,
    },
    scheduler: {
      maxNumSeqs: config.maxNumSeqs,
      maxNumBatchedTokens: config.maxNumBatchedTokens,
      maxTbtMs: config.maxTbtMs,
      policy: config.policy,
      serviceClasses: config.serviceClasses,
      prices: config.tokenPrices,
      localityTokens: config.localityTokens,
    },
  }
}

async function bind(server: ApiServer, { host, port }: Config): Promise<void> {
  try {
    await server.app.listen({ host, port })
  } catch (cause) {
    await server.close()
    if (cause instanceof ServingError) throw cause
    throw new ServingError('INTERNAL', listenFailure(cause, host, port), { cause })
  }
}

function listenFailure(cause: unknown, host: string, port: number): string {
  const code = reasonOf(cause)
  if (code === 'EADDRINUSE') return `Port ${port} on ${host} is in use; choose another with --port.`
  if (code === 'EACCES') return `Port ${port} on ${host} is not allowed; choose one above 1023 with --port.`
  return `Cannot listen on ${host} port ${port} (${code}).`
}

function listeningUrl({ app }: ApiServer): string {
  const address = app.server.address()
  if (address === null || typeof address === 'string') {
    throw new ServingError('INTERNAL', 'The server has no address.')
  }
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address
  return `http://${host}:${address.port}`
}
