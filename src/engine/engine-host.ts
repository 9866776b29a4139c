/** One loaded engine, whoever carries its messages: creates the executor and runs the step loop over it. */
import { createExecutor } from '../executor/create-executor.ts'
import type { Executor } from '../executor/executor.ts'
import type { EngineOptions } from './engine-options.ts'
import type { EngineInfo, FromEngine, ToEngine } from './protocol.ts'
import { StepLoop } from './step-loop.ts'
import { systemClock } from './system-clock.ts'

export class EngineHost {
  readonly info: EngineInfo
  readonly #executor: Executor
  readonly #loop: StepLoop

  private constructor(
    executor: Executor,
    info: EngineInfo,
    options: EngineOptions,
    send: (message: FromEngine) => void,
    fail: (error: unknown) => void,
  ) {
    this.info = info
    this.#executor = executor
    const emit = (message: Omit<Extract<FromEngine, { type: 'step' }>, 'type'>) =>
      send({ type: 'step', ...message })
    this.#loop = new StepLoop(executor, options.scheduler, systemClock, emit, fail)
  }

  /** Loads the model. `fail` is called when a step breaks: the engine is of no use afterwards. */
  static async start(
    options: EngineOptions,
    send: (message: FromEngine) => void,
    fail: (error: unknown) => void,
  ): Promise<EngineHost> {
    const onProgress = (progress: number) => send({ type: 'loading', progress })
    const { executor, info } = await createExecutor(options.executor, onProgress)
    const engineInfo: EngineInfo = { ...executor.model, ...info, pid: process.pid }
    return new EngineHost(executor, engineInfo, options, send, fail)
  }

  handle(message: Exclude<ToEngine, { type: 'close' }>): void {
    if (message.type === 'submit') this.#loop.submit(message.requests)
    else this.#loop.cancel(message.ids)
  }

  checkInvariants(): void {
    this.#loop.checkInvariants()
  }

  async close(): Promise<void> {
    await this.#loop.close()
    await this.#executor.close()
  }
}
