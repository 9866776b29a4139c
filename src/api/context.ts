import type { Clock } from '../core/clock.ts'
import { ServingError } from '../core/errors.ts'
import type { ModelCard } from '../core/model-card.ts'
import type { Pooling } from '../core/request.ts'
import type { ServiceClass } from '../core/service-class.ts'
import type { ApiKey } from '../core/tenant.ts'
import type { EngineClient } from '../engine/engine-client.ts'
import type { EngineInfo } from '../engine/protocol.ts'
import type { ServerMetrics } from '../telemetry/metrics.ts'
import type { ChatTemplate } from '../text/chat-template.ts'
import type { Dialect, ReasoningParserName, ToolParserName } from '../text/output/dialect.ts'
import type { Tokenizer } from '../text/tokenizer.ts'
import type { ActiveWork } from './active-work.ts'
import type { Admission, AdmissionConfig } from './admission/admission.ts'
import type { BatchService } from './batch-service.ts'
import type { KeyRing } from './key-ring.ts'
import type { ProgramLog } from './program-log.ts'
import type { TimelineStore } from './timeline-store.ts'
import type { WorkloadRecorder } from './workload-recorder.ts'

export interface ApiConfig {
  /** Names that requests may give; answers carry the first. */
  readonly servedModelNames: readonly string[]
  /** Keys that open the server; undefined: everybody may come in. */
  readonly apiKeys: readonly ApiKey[] | undefined
  /** At least one; the first is meant when a request names none. */
  readonly serviceClasses: readonly ServiceClass[]
  /** Refuse what is predicted to miss its class's time to first token, not only what says itself what it wants. */
  readonly refuseLate: boolean
  readonly admission: AdmissionConfig
  /** Requests whose timelines are kept. */
  readonly maxTimelines: number
  readonly maxBodyBytes: number
  /** How texts become vectors; undefined: as the model's file says. */
  readonly pooling?: Pooling | undefined
  /** For responses that others may continue. */
  readonly responseStoreBytes: number
  readonly maxMessages: number
  /** Upper bound of `n`, and of prompts in one request. */
  readonly maxChoices: number
  /** How the model calls tools; `auto`, as when left out, follows its chat template. */
  readonly toolParser?: ToolParserName
  readonly reasoningParser?: ReasoningParserName
  /** Of files and batches. */
  readonly files?: FilesConfig
}

export interface FilesConfig {
  /** Where files and batches are kept; undefined: in a temporary folder, until the server ends. */
  readonly dataDir: string | undefined
  readonly maxFileBytes: number
  readonly maxBatchLines: number
  /** Lines of batches in flight at one time, at most. */
  readonly maxBatchInFlight: number
}

export const defaultFiles: FilesConfig = {
  dataDir: undefined,
  maxFileBytes: 200 * 1024 * 1024,
  maxBatchLines: 50_000,
  maxBatchInFlight: 128,
}

/** What the routes share. */
export interface ApiContext {
  readonly engine: EngineClient
  readonly tokenizer: Tokenizer
  readonly chat: ChatTemplate
  readonly dialect: Dialect
  readonly clock: Clock
  readonly config: ApiConfig
  readonly metrics: ServerMetrics
  readonly keys: KeyRing
  readonly admission: Admission
  readonly programs: ProgramLog
  readonly timelines: TimelineStore
  readonly version: string
  /** What the model's file says about itself; undefined: there is no file. */
  readonly card?: ModelCard | undefined
  /** Told of every generation; undefined: nothing is recorded. */
  readonly recorder?: WorkloadRecorder | undefined
  readonly startedAt: number
  isDraining: boolean
  /** Generations and answers under way. */
  readonly active: ActiveWork
  readonly batches: BatchService
}

/** The engine's facts, for a request that needs them now. @throws {ServingError} LOADING, DRAINING, ENGINE_FAILED. */
export async function requireEngine(context: ApiContext): Promise<EngineInfo> {
  const { status } = context.engine
  if (context.isDraining || status.state === 'closed') {
    throw new ServingError('DRAINING', 'The server is shutting down.')
  }
  if (status.state === 'loading') throw new ServingError('LOADING', 'The model is still loading.')
  if (status.state === 'failed') throw new ServingError('ENGINE_FAILED', status.message)
  return context.engine.ready()
}

/** @throws {ServingError} MODEL_NOT_FOUND for a name that is not served. */
export function checkModelName(context: ApiContext, model: string | undefined): void {
  const { servedModelNames } = context.config
  if (model === undefined || model === '' || servedModelNames.includes(model)) return
  const names = servedModelNames.join(', ')
  throw new ServingError('MODEL_NOT_FOUND', `The model '${model}' does not exist; served: ${names}.`, {
    param: 'model',
  })
}

export function modelName({ config }: ApiContext): string {
  return config.servedModelNames[0] ?? 'model'
}
