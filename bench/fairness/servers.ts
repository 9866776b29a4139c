/** Servers under test, started for one run each and ended afterwards: their caches begin empty. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export interface ServerSettings {
  readonly model: string
  readonly threads: number
  readonly maxNumSeqs: number
  readonly kvTokens: number
}

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

/** This server, with these flags beside the settings. */
export function withSwitchyard<Result>(
  settings: ServerSettings,
  flags: readonly string[],
  use: (url: string) => Promise<Result>,
): Promise<Result> {
  const { model, threads, maxNumSeqs, kvTokens } = settings
  const args = ['--import', 'tsx', main, 'serve', model, '--port', '0', '--log-level', 'warn']
  const limits = ['-t', threads, '--max-num-seqs', maxNumSeqs, '--kv-cache-tokens', kvTokens].map(String)
  return withServer(process.execPath, [...args, ...limits, ...flags], use)
}

/** llama-server with as many slots, one KV pool for all of them, and its prompt cache in host memory off: as much memory. */
export function withLlamaServer<Result>(
  program: string,
  settings: ServerSettings,
  use: (url: string) => Promise<Result>,
): Promise<Result> {
  const { model, threads, maxNumSeqs, kvTokens } = settings
  const port = 18_000 + Math.floor(Math.random() * 10_000)
  const args = ['-m', model, '-t', threads, '-np', maxNumSeqs, '-c', kvTokens, '--port', port].map(String)
  const more = ['-fa', 'on', '--kv-unified', '--cache-ram', '0', '--no-webui']
  return withServer(program, [...args, ...more], use, `http://127.0.0.1:${port}`)
}

async function withServer<Result>(
  program: string,
  args: readonly string[],
  use: (url: string) => Promise<Result>,
  knownUrl?: string,
): Promise<Result> {
  const env = { ...process.env, LD_LIBRARY_PATH: dirname(program) }
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'], env })
  const ended = once(child, 'exit')
  try {
    const url = knownUrl === undefined ? await urlIn(child.stdout) : knownUrl
    child.stdout.resume()
    await ready(url)
    return await use(url)
  } finally {
    child.kill('SIGINT')
    await ended
  }
}

async function urlIn(output: NodeJS.ReadableStream): Promise<string> {
  for await (const line of createInterface({ input: output })) {
    const url = /http:\/\/\S+/.exec(line)?.[0]
    if (url !== undefined) return url
  }
  throw new Error('the server ended before it served')
}

async function ready(url: string): Promise<void> {
  for (let attempt = 0; attempt < 300; attempt += 1) {
    const isReady = await fetch(`${url}/health`).then(
      ({ ok }) => ok,
      () => false,
    )
    if (isReady) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`${url} does not get ready`)
}
