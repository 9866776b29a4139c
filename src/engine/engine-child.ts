/** One life of an engine's process: started, talked to, gone. Knows nothing of requests. */
import { fork, type ChildProcess } from 'node:child_process'
import type { EngineOptions } from './engine-options.ts'
import type { FromEngine, ToEngine } from './protocol.ts'
import { programBeside } from './program.ts'

/** How long a process may take to leave when asked to. */
const leaveMillis = 5000

export class EngineChild {
  readonly startedAt: number = performance.now()
  /** Resolves with how it ended, after its last message was received. */
  readonly ended: Promise<string>
  readonly #process: ChildProcess

  constructor(options: EngineOptions, onMessage: (message: FromEngine) => void) {
    const { url, execArgv } = programBeside('engine-process')
    this.#process = fork(url, {
      serialization: 'advanced',
      execArgv,
      // Nothing that the process prints may get into the output of whoever runs us.
      stdio: ['ignore', 2, 2, 'ipc'],
    })
    this.#process.on('message', onMessage)
    this.ended = untilEnd(this.#process)
    this.send({ type: 'start', options })
  }

  /** What a dead process does not receive is not an error: its end tells. */
  send(message: ToEngine): void {
    this.#process.send(message, () => undefined)
  }

  kill(): void {
    this.#process.kill('SIGKILL')
  }

  /** Asks it to leave, and sees to it that it does. */
  async close(): Promise<void> {
    this.send({ type: 'close' })
    const timer = setTimeout(() => this.kill(), leaveMillis)
    await this.ended
    clearTimeout(timer)
  }
}

/** `exit` may come before the last messages were read; `disconnect` comes after them. */
function untilEnd(process: ChildProcess): Promise<string> {
  const exited = new Promise<string>((resolve) => {
    process.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`))
  })
  const disconnected = new Promise<void>((resolve) => process.once('disconnect', resolve))
  const notStarted = new Promise<string>((resolve) => {
    process.on('error', (error) => {
      if (process.pid === undefined) resolve(error.message)
    })
  })
  return Promise.race([notStarted, disconnected.then(() => exited)])
}
