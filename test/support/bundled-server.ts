/** The server with the bundled model behind a real port, in this process and on one thread. */
import { createServer, type ApiConfig, type ApiServer } from '../../src/api/server.ts'
import { bundledModel } from '../../src/config/schema.ts'
import { defaultServiceClasses } from '../../src/core/service-class.ts'
import { InProcessClient } from '../../src/engine/in-process-client.ts'
import { systemClock } from '../../src/engine/system-clock.ts'
import type { SwappingEnvironment } from '../../src/engine/swapping.ts'
import { openGguf } from '../../src/model/gguf-reader.ts'
import { readModelCard } from '../../src/model/model-card.ts'
import { createChatTemplate } from '../../src/text/chat-template.ts'
import { openLlamaTokenizer } from '../../src/text/llama-tokenizer.ts'
import type { TierOptions } from '../../src/tiers/open-tiers.ts'
import { logExercises } from './exercise-log.ts'
import { amplyAdmitting, listen } from './api-server.ts'

export interface BundledServer {
  readonly api: ApiServer
  readonly engine: InProcessClient
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  /** Resolves when no sequence runs. */
  isIdle(): Promise<void>
  close(): Promise<void>
}

export const bundledName = 'yardling'

export interface OtherMemory {
  readonly kvCacheTokens: number
  readonly tiers: TierOptions
  readonly wrapFile?: SwappingEnvironment['wrapFile']
}

/** Resolves when the model is loaded. `modelPath`: another model in its place. */
export async function startBundledServer(
  config: Partial<ApiConfig> = {},
  modelPath: string = bundledModel,
  memory?: OtherMemory,
): Promise<BundledServer> {
  const engine = new InProcessClient(
    {
      executor: {
        kind: 'ggml',
        modelPath,
        device: 'cpu',
        numThreads: 1,
        maxModelLen: undefined,
        kvCacheTokens: memory?.kvCacheTokens ?? 8192,
        blockSize: 16,
        cacheTypeK: 'f16',
        cacheTypeV: 'f16',
        batchInvariant: false,
        maxNumSeqs: 8,
        maxNumBatchedTokens: 128,
      },
      eviction: 'value',
      scheduler: { maxNumSeqs: 8, maxNumBatchedTokens: 128, maxTbtMs: undefined, policy: 'fair+slo+program' },
      tiers: memory?.tiers,
    },
    memory?.wrapFile,
  )
  const tokenizer = openLlamaTokenizer(modelPath)
  const gguf = openGguf(modelPath)
  const card = readModelCard(gguf)
  gguf.close()
  const api = createServer({
    engine,
    tokenizer,
    chat: createChatTemplate(tokenizer.chatTemplate, tokenizer),
    clock: systemClock,
    card,
    config: {
      servedModelNames: [bundledName],
      apiKeys: undefined,
      serviceClasses: defaultServiceClasses,
      refuseLate: false,
      admission: amplyAdmitting,
      maxTimelines: 100,
      maxBodyBytes: 1_000_000,
      responseStoreBytes: 1_000_000,
      maxMessages: 100,
      maxChoices: 4,
      ...config,
    },
    version: '1.2.3',
    logLevel: 'silent',
  })
  logExercises(api.app)
  await engine.ready()
  const url = `http://127.0.0.1:${await listen(api)}`
  return {
    api,
    engine,
    url,
    isIdle: () =>
      new Promise((resolve) => {
        const stop = engine.onStep((stats) => {
          if (stats.numRunning > 0) return
          stop()
          resolve()
        })
        if (engine.stats?.numRunning === 0) resolve()
      }),
    async close() {
      await api.close()
      await engine.close()
      tokenizer.close()
    },
  }
}
