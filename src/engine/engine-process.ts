/**
 * The engine's own process: what a kernel's failed assertion ends, and nothing else. Options come as the first
 * message. It leaves when its parent does; signals that a terminal or a supervisor sends to the whole group are the
 * parent's to answer, which may want to drain first.
 */
import { ServingError } from '../core/errors.ts'
import { loadEngine } from './engine-host.ts'
import type { EngineOptions } from './engine-options.ts'
import type { FromEngine, ToEngine } from './protocol.ts'
import type { StepLoop } from './step-loop.ts'

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)
process.on('disconnect', () => process.exit(0))

let loop: StepLoop | undefined

process.on('message', (message: ToEngine) => {
  switch (message.type) {
    case 'start':
      void start(message.options)
      return
    case 'submit':
      loop?.submit(message.requests)
      return
    case 'cancel':
      loop?.cancel(message.ids)
      return
    case 'tool-call':
      loop?.noteToolCall(message.id, message.tool)
      return
    case 'close':
      if (loop === undefined) process.exit(0)
      loop.close()
      return
    default:
      message satisfies never
  }
})

async function start(options: EngineOptions): Promise<void> {
  try {
    const host = await loadEngine(options, send)
    loop = host.loop
    send({ type: 'ready', info: host.info })
    void run(() => host.run())
  } catch (error) {
    const code = error instanceof ServingError ? error.code : 'INTERNAL'
    const message = error instanceof Error ? error.message : String(error)
    send({ type: 'failed', code, message }, () => process.exit(1))
  }
}

/** A broken step leaves nothing to rely on: the parent starts a new process, and goes on in there. */
async function run(work: () => Promise<void>): Promise<void> {
  try {
    await work()
    process.exit(0)
  } catch (error) {
    console.error(error)
    process.exit(1)
  }
}

/** Failing to send means that the parent is gone: `disconnect` follows. */
function send(message: FromEngine, sent: () => void = () => undefined): void {
  process.send?.(message, undefined, undefined, sent)
}
