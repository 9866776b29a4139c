import { execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { BenchReport } from '../../src/bench/bench-report.ts'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

interface Outcome {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs the command with this input on a pipe. */
function switchyard(args: readonly string[], input = ''): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, ['--import', 'tsx', main, ...args], (_error, stdout, stderr) =>
      resolve({ status: child.exitCode, stdout, stderr }),
    )
    child.stdin!.end(input)
  })
}

describe('the switchyard program', () => {
  it('ends with status 2 and one line for wrong usage', async () => {
    expect(await switchyard(['serve', '--prot', '1'])).toEqual({
      status: 2,
      stdout: '',
      stderr: 'switchyard: Unknown option --prot. Did you mean --port?\n',
    })
  })

  it.each([
    ['none.gguf', /none\.gguf: cannot be opened \(ENOENT\)/],
    [main, /main\.ts: .*/],
  ])('refuses to serve %s in one line', async (model, message) => {
    const { status, stderr } = await switchyard(['serve', model])
    expect(status).toBe(1)
    expect(stderr).toMatch(message)
    expect(stderr.split('\n')).toHaveLength(2)
  })

  it('warns of more threads than there are cores', async () => {
    const { stderr } = await switchyard(['serve', 'none.gguf', '--threads', '1024'])
    expect(stderr).toMatch(/^1024 threads on \d+ cores: /)
  })

  it('prints the effective settings without starting anything', async () => {
    const { status, stdout } = await switchyard(['serve', 'none.gguf', '--port', '9', '--print-config'])
    expect(status).toBe(0)
    expect(stdout).toMatch(/^model +none\.gguf +--model$/m)
    expect(stdout).toMatch(/^port +9 +--port$/m)
  })
})

/** Somebody else's server: answers everything with the same three tokens and remembers what it was asked. */
class ForeignServer {
  readonly bodies: Record<string, unknown>[] = []
  canTokenize = true
  readonly #server: Server = createServer((request, response) => void this.#answer(request, response))

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  close(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.url === '/v1/models') return void response.end('{"data":[{"id":"other-model"}]}')
    if (request.url === '/version') return void response.end('{"version":"1.2.3"}')
    if (request.method === 'GET') {
      response.statusCode = 404
      return void response.end()
    }
    let text = ''
    for await (const piece of request) text += String(piece)
    const body = JSON.parse(text) as Record<string, unknown>
    if (request.url === '/tokenize') return this.#tokenize(body, response)
    this.bodies.push(body)
    if (body['model'] !== 'other-model') {
      response.statusCode = 404
      return void response.end('{"error":{"message":"no such model"}}')
    }
    for (const piece of ['one', ' two', ' three']) {
      const choice = request.url === '/v1/completions' ? { text: piece } : { delta: { content: piece } }
      response.write(`data: ${JSON.stringify({ choices: [{ ...choice, finish_reason: null }] })}\n\n`)
    }
    const usage = { prompt_tokens: 7, completion_tokens: 3 }
    response.end(`data: ${JSON.stringify({ choices: [], usage })}\n\ndata: [DONE]\n\n`)
  }

  #tokenize({ prompt }: Record<string, unknown>, response: ServerResponse): void {
    if (!this.canTokenize) {
      response.statusCode = 404
      return void response.end()
    }
    const tokens = String(prompt)
      .split(' ')
      .flatMap((word) => [word.length, 1])
    response.end(JSON.stringify({ tokens }))
  }
}

describe('switchyard with a server elsewhere', () => {
  const server = new ForeignServer()
  let url: string

  beforeAll(async () => {
    url = await server.listen()
  })
  afterAll(() => server.close())

  const bench = async (...args: string[]) => {
    server.bodies.length = 0
    const outcome = await switchyard(['bench', '--url', url, '--json', '-', '--force', ...args])
    return { ...outcome, report: JSON.parse(outcome.stdout) as BenchReport }
  }

  it('measures a closed loop with prompts of the exact length', async () => {
    const args = ['--requests', '9', '--concurrency', '2', '--prompt-tokens', '6', '--output-tokens', '3']
    const { status, report } = await bench(...args)
    expect(status).toBe(0)
    const [target] = report.targets
    expect(target?.server).toBe('vllm 1.2.3')
    expect(target?.figures).toMatchObject({ numMeasured: 9, numFailed: 0, ttftMs: { count: 9 } })
    expect(target?.requests.every(({ outputTokens }) => outputTokens === 3)).toBe(true)
    expect(target?.mismatches).toEqual({ promptTokens: 9 })
    expect(report.workload.loop).toEqual({ kind: 'closed', numUsers: 2 })
    expect(server.bodies).toHaveLength(9)
    const asked = { model: 'other-model', max_tokens: 3, ignore_eos: true, stream: true }
    expect(server.bodies[0]).toMatchObject(asked)
    expect(server.bodies.every(({ prompt }) => Array.isArray(prompt) && prompt.length === 6)).toBe(true)
    expect(new Set(server.bodies.map(({ prompt }) => JSON.stringify(prompt))).size).toBeGreaterThan(1)
  })

  it('measures an open loop, with words where the server cannot tokenise', async () => {
    server.canTokenize = false
    const { status, report } = await bench('--requests', '5', '--rate', '200', '--prompt-tokens', '6')
    server.canTokenize = true
    expect(status).toBe(0)
    expect(report.targets[0]?.figures).toMatchObject({ numMeasured: 5, numFailed: 0 })
    expect(report.workload.loop).toEqual({ kind: 'open' })
    expect(server.bodies.every(({ prompt }) => String(prompt).split(' ').length === 6)).toBe(true)
  })

  it('says what failed and fails itself', async () => {
    const { status, report } = await bench('--requests', '3', '--model', 'nobody')
    expect(status).toBe(1)
    const errors = { '404: no such model': 3 }
    expect(report.targets[0]?.figures).toMatchObject({ numMeasured: 3, numFailed: 3, errors })
  })

  it('measures the servers that are there when another is not', async () => {
    const targets = ['--target', `here=${url}`, '--target', 'gone=http://127.0.0.1:9']
    const outcome = await switchyard(['bench', ...targets, '--json', '-', '--requests', '3', '--force'])
    expect(outcome.status).toBe(1)
    const [here, gone] = (JSON.parse(outcome.stdout) as BenchReport).targets
    expect(here?.figures).toMatchObject({ numMeasured: 3, numFailed: 0 })
    expect(Object.keys(gone?.figures.errors ?? {})).toEqual([expect.stringContaining('ECONNREFUSED')])
  })

  it('shows the shape of a workload without sending anything', async () => {
    const { status, stdout } = await switchyard(['bench', '-w', 'agents:programs=3,turns=2', '--dry-run'])
    expect(status).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ name: 'agents', numPrograms: 3, loop: { kind: 'open' } })
  })

  it('says in one line that nobody is there', async () => {
    const nobody = createServer().listen(0, '127.0.0.1')
    await once(nobody, 'listening')
    const { port } = nobody.address() as AddressInfo
    nobody.close()
    const outcome = await switchyard(['bench', '--url', `http://127.0.0.1:${port}`])
    expect(outcome).toMatchObject({ status: 1, stdout: '' })
    expect(outcome.stderr).toMatch(/^switchyard: http:\/\/127\.0\.0\.1:\d+: ECONNREFUSED\n$/)
  })

  it('chats over a pipe, keeping the conversation until /reset', async () => {
    server.bodies.length = 0
    const input = 'first\nsecond\n/reset\nthird\n/exit\nnever\n'
    const { status, stdout, stderr } = await switchyard(
      ['chat', '--url', `${url}/v1`, '--system', 'Be brief.'],
      input,
    )
    expect(status).toBe(0)
    expect(stdout).toBe('one two three\n'.repeat(3))
    expect(stderr).toMatch(/^(3 tokens, [\d.]+ tokens\/s, first token [\d.]+ s\n){3}$/)
    const [, second, third] = server.bodies
    const system = { role: 'system', content: 'Be brief.' }
    expect(second).toMatchObject({ max_tokens: 512, temperature: 0.7 })
    expect(second!['messages']).toEqual([
      system,
      { role: 'user', content: 'first' },
      { role: 'assistant', content: 'one two three' },
      { role: 'user', content: 'second' },
    ])
    expect(third!['messages']).toEqual([system, { role: 'user', content: 'third' }])
    expect(server.bodies).toHaveLength(3)
  })

  it('goes on chatting after a failure', async () => {
    const { status, stderr } = await switchyard(['chat', '--url', url, '--model', 'nobody'], 'a\nb\n')
    expect(status).toBe(0)
    expect(stderr).toBe('404: no such model\n'.repeat(2))
  })
})

describe('switchyard serve', () => {
  const start = (...args: string[]) =>
    spawn(process.execPath, ['--import', 'tsx', main, 'serve', '--port', '0', '-t', '1', ...args])
  const engineOf = (pid: number) => Number(execFileSync('pgrep', ['-f', '-P', String(pid), 'engine-process']))
  const stream = (url: string) =>
    fetch(`${url}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ prompt: 'Once', max_tokens: 1500, ignore_eos: true, stream: true }),
    })

  it('says where it serves, finishes what is under way on the first signal and leaves with 0', async () => {
    const child = start()
    const exit = once(child, 'exit')
    const answer = await stream(await waitFor(child.stdout, / on (http:\S+)/))
    child.kill('SIGTERM')
    const text = await answer.text()
    expect(text).toMatch(/\[DONE\]\s*$/)
    expect(text).toContain('"finish_reason":"length"')
    expect(await exit).toEqual([0, null])
  })

  it('leaves at once on the second signal', async () => {
    const child = start()
    const exit = once(child, 'exit')
    const answer = await stream(await waitFor(child.stdout, / on (http:\S+)/))
    child.kill('SIGINT')
    await waitFor(child.stderr, /Finishing what is under way/)
    child.kill('SIGINT')
    expect(await exit).toEqual([130, null])
    await expect(answer.text()).rejects.toThrow()
  })

  it('names the port that somebody else has, and fails', async () => {
    const holder = createServer().listen(0, '127.0.0.1')
    await once(holder, 'listening')
    const { port } = holder.address() as AddressInfo
    const { status, stderr } = await switchyard(['serve', '--port', String(port)])
    holder.close()
    expect(status).toBe(1)
    expect(stderr).toBe(`switchyard: Port ${port} on 127.0.0.1 is in use; choose another with --port.\n`)
  })

  it('ends as a failure, saying why, when its engine is gone for good', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'switchyard-serve-'))
    const model = join(folder, 'model.gguf')
    copyFileSync('models/yardling/yardling-q8_0.gguf', model)
    const child = start(model)
    let stderr = ''
    child.stderr.on('data', (piece: Buffer) => (stderr += String(piece)))
    const exit = once(child, 'exit')
    const answer = await stream(await waitFor(child.stdout, / on (http:\S+)/))
    rmSync(folder, { recursive: true })
    process.kill(engineOf(child.pid!), 'SIGKILL')
    expect(await answer.text()).toContain('"code":"engine_failed"')
    expect(await exit).toEqual([1, null])
    expect(stderr).toMatch(
      /^switchyard: The engine does not start \(.*model\.gguf: cannot be opened \(ENOENT\)/m,
    )
  })

  it('chats with a model of its own, which remembers the conversation', async () => {
    const input = 'My name is Ada and my code is 4821.\nWhat is my code?\n'
    const { status, stdout } = await switchyard(['chat', '-t', '1', '--temperature', '0'], input)
    expect(status).toBe(0)
    expect(stdout).toContain('Your code is 4821.')
  })
})

/** Resolves with the first match of the pattern's group in what the stream says, which goes on flowing. */
function waitFor(stream: Readable, pattern: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let seen = ''
    stream.on('data', (piece: Buffer) => {
      seen += String(piece)
      const found = pattern.exec(seen)
      if (found !== null) resolve(found[1] ?? found[0])
    })
    stream.once('end', () => reject(new Error(`${String(pattern)} is not in: ${seen}`)))
  })
}
