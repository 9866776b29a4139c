/** A server of its own process, as users start it, that tests may kill. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

export interface ServerProcess {
  readonly url: string
  readonly child: ChildProcess
  /** SIGKILL to the server; its engine ends by itself. */
  kill(): Promise<void>
}

/** Resolves when it answers requests. */
export async function serverProcess(args: readonly string[]): Promise<ServerProcess> {
  const command = ['--import', 'tsx', main, 'serve', '--port', '0', '--log-level', 'warn', ...args]
  const child = spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  child.stdout.on('data', (piece: Buffer) => (output += piece.toString()))
  let errors = ''
  child.stderr.on('data', (piece: Buffer) => (errors += piece.toString()))
  const closed = once(child, 'close')
  while (!/ on (http\S+)/.test(output)) {
    await Promise.race([once(child.stdout, 'data'), closed])
    if (child.exitCode !== null) throw new Error(`the server ended: ${errors}`)
  }
  return {
    url: / on (http\S+)/.exec(output)![1]!,
    child,
    async kill() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
      await closed
    },
  }
}
