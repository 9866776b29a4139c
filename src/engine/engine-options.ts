import type { ExecutorOptions } from '../executor/executor-options.ts'
import type { SchedulerOptions } from './step-loop.ts'

/** Everything an engine needs to know; plain data, because it crosses to the engine's process. */
export interface EngineOptions {
  readonly executor: ExecutorOptions
  readonly scheduler: SchedulerOptions
}
