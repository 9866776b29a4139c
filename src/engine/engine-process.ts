/**
 * The engine's own process: a failed assertion in a kernel ends it and nothing else. Options come as the first message;
 * it leaves when its parent does, and lets the parent decide what Ctrl-C means.
 */
import { ServingError } from '../core/errors.ts'
import type { EngineOptions } from './engine-options.ts'
import { EngineHost } from './engine-host.ts'
import type { FromEngine, ToEngine } from './protocol.ts'

process.on('SIGINT', () => undefined)
process.on('disconnect', () => process.exit(0))
process.once('message', (options: EngineOptions) => {
  void run(options)
})

async function run(options: EngineOptions): Promise<void> {
  try {
    const host = await EngineHost.start(options, send, (error) => {
      console.error(error)
      process.exit(1)
    })
    process.on('message', (message: ToEngine) => {
      if (message.type === 'close') void host.close().then(() => process.exit(0))
      else host.handle(message)
    })
    send({ type: 'ready', info: host.info })
  } catch (error) {
    const code = error instanceof ServingError ? error.code : 'INTERNAL'
    const message = error instanceof Error ? error.message : String(error)
    process.send?.({ type: 'failed', code, message } satisfies FromEngine, () => process.exit(1))
  }
}

function send(message: FromEngine): void {
  process.send?.(message)
}
