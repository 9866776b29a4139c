/** Servers that a benchmark starts for itself, one at a time. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { openTarget, type Target } from '../src/bench/targets/target.ts'

export interface ServerCommand {
  readonly name: string
  readonly program: string
  /** `--port N` is added. */
  readonly args: readonly string[]
}

/** Starts a server, waits until it is healthy, works with it and ends it. */
export async function withServer<Result>(
  { name, program, args }: ServerCommand,
  work: (target: Target) => Promise<Result>,
): Promise<Result> {
  const port = await freePort()
  // Its libraries lie beside it.
  const env = { ...process.env, LD_LIBRARY_PATH: dirname(program) }
  const server = spawn(program, [...args, '--port', `${port}`], { stdio: 'ignore', env })
  try {
    const url = `http://127.0.0.1:${port}`
    await untilHealthy(server, name, url)
    return await work(await openTarget({ name, kind: undefined, url }, {}))
  } finally {
    server.kill('SIGINT')
    if (server.exitCode === null) await once(server, 'exit')
  }
}

async function untilHealthy(server: ChildProcess, name: string, url: string): Promise<void> {
  for (;;) {
    if (server.exitCode !== null) throw new Error(`${name} ended with ${server.exitCode}`)
    const health = await fetch(`${url}/health`).catch(() => undefined)
    if (health?.ok === true) return
    await sleep(100)
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  await new Promise((resolve) => probe.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('there is no free port')
  return address.port
}
