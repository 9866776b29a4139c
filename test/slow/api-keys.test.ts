/** A running server, its file of API keys, and SIGHUP. */
import { spawn, type ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'switchyard-keys-'))
const file = join(folder, 'keys.yaml')
let server: ChildProcess
let url = ''
let errors: AsyncIterator<string>

function writeKeys(names: readonly string[]): void {
  const keys = names.map((name) => {
    const sha256 = createHash('sha256').update(`key of ${name}`).digest('hex')
    return `  - { name: ${name}, sha256: ${sha256} }\n`
  })
  writeFileSync(file, `keys:\n${keys.join('')}`)
}

async function statusFor(name: string): Promise<number> {
  const response = await fetch(`${url}/v1/models`, { headers: { authorization: `Bearer key of ${name}` } })
  await response.arrayBuffer()
  return response.status
}

/** The server's next line about its keys. */
async function reload(): Promise<string> {
  server.kill('SIGHUP')
  const { value } = await errors.next()
  return value as string
}

beforeAll(async () => {
  writeKeys(['ada'])
  const args = ['--port', '0', '-t', '1', '--log-level', 'silent', '--api-keys', file]
  server = spawn(process.execPath, ['--import', 'tsx', main, 'serve', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  errors = createInterface({ input: server.stderr! })[Symbol.asyncIterator]()
  for await (const line of createInterface({ input: server.stdout! })) {
    url = /http:\/\/[\w.:]+/.exec(line)?.[0] ?? ''
    if (url !== '') break
  }
  server.stdout!.resume()
}, 60_000)

afterAll(async () => {
  server.kill('SIGTERM')
  await once(server, 'exit')
  rmSync(folder, { recursive: true })
})

it('lets in who is in the file now, once it is told to read it again', async () => {
  expect(await statusFor('ada')).toBe(200)
  expect(await statusFor('grace')).toBe(401)
  writeKeys(['grace'])
  expect(await statusFor('grace')).toBe(401)
  expect(await reload()).toContain('API keys')
  expect(await statusFor('grace')).toBe(200)
  expect(await statusFor('ada')).toBe(401)
})

it('goes on with the keys that it has when the file is wrong', async () => {
  writeFileSync(file, 'keys: [{ name: eve }]')
  expect(await reload()).toContain(file)
  expect(await statusFor('grace')).toBe(200)
  expect(await statusFor('eve')).toBe(401)
})
