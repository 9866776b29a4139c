import type { AddressInfo } from 'node:net'
import type { AdmissionConfig } from '../../src/api/admission/admission.ts'
import { createServer, type ApiConfig, type ApiServer } from '../../src/api/server.ts'
import type { WorkloadRecorder } from '../../src/api/workload-recorder.ts'
import { defaultServiceClasses } from '../../src/core/service-class.ts'
import type { EngineClient } from '../../src/engine/engine-client.ts'
import { systemClock } from '../../src/engine/system-clock.ts'
import { createChatTemplate } from '../../src/text/chat-template.ts'
import { logExercises } from './exercise-log.ts'
import { ByteTokenizer } from './byte-tokenizer.ts'
import { ScriptedEngine, type ScriptedEngineOptions } from './scripted-engine.ts'

/** Refuses nobody. */
export const amplyAdmitting: AdmissionConfig = {
  maxRequests: Infinity,
  maxTokens: Infinity,
  maxTenantRequests: Infinity,
  maxTenantTokens: Infinity,
  lateFactor: 1.5,
}

export interface ByteServerConfig extends Partial<ApiConfig> {
  /** The model's chat template; plain ChatML without one. */
  readonly template?: string
  /** Its requests are made at random, and say nothing of what tests try. */
  readonly isRandom?: boolean
}

export interface ScriptedServer extends ApiServer {
  readonly engine: ScriptedEngine
}

/** A server whose every answer is `script`: text, or tokens by request. Its model is called `script`. */
export function scriptedServer(
  script: string | ScriptedEngineOptions['script'],
  config: ByteServerConfig & { readonly maxModelLen?: number } = {},
  recorder?: WorkloadRecorder,
): ScriptedServer {
  const { maxModelLen = 1024, ...api } = config
  const engine = new ScriptedEngine({
    script: typeof script === 'string' ? () => [...Buffer.from(script), 257] : script,
    maxModelLen,
  })
  return { ...byteServer(engine, api, recorder), engine }
}

/** A server in front of any engine whose vocabulary is that of `ByteTokenizer`. */
export function byteServer(
  engine: EngineClient,
  { template, isRandom = false, ...config }: ByteServerConfig = {},
  recorder?: WorkloadRecorder,
): ApiServer {
  const tokenizer = new ByteTokenizer(template)
  const server = createServer({
    engine,
    tokenizer,
    chat: createChatTemplate(template, tokenizer),
    clock: systemClock,
    config: {
      servedModelNames: ['script'],
      apiKeys: undefined,
      serviceClasses: defaultServiceClasses,
      refuseLate: false,
      admission: amplyAdmitting,
      maxTimelines: 10,
      maxBodyBytes: 100_000,
      responseStoreBytes: 1_000_000,
      maxMessages: 100,
      maxChoices: 4,
      ...config,
    },
    version: '1.2.3',
    logLevel: 'silent',
    recorder,
  })
  if (!isRandom) logExercises(server.app)
  return server
}

/** Listens on a free port of the loopback; the port. */
export async function listen({ app }: ApiServer): Promise<number> {
  await app.listen({ host: '127.0.0.1', port: 0 })
  return (app.server.address() as AddressInfo).port
}
