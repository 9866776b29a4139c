/** `switchyard bench` as a program: what it leaves behind when things go wrong. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parseBenchReport } from '../../src/bench/parse-bench-report.ts'

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

let folder: string
const closing: (() => void)[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'switchyard-bench-'))
})
afterEach(() => {
  for (const close of closing.splice(0)) close()
  rmSync(folder, { recursive: true })
})

const token = 'data: {"choices":[{"text":" a","finish_reason":null}]}\n\n'
const end = 'data: {"choices":[],"usage":{"prompt_tokens":4,"completion_tokens":1}}\n\ndata: [DONE]\n\n'

/** A server that gives every request for an answer to `answer`, with its number. */
async function serve(
  answer: (response: ServerResponse, number: number, prompt: string) => void,
): Promise<string> {
  let number = 0
  const server = createServer(async (request, response) => {
    let text = ''
    for await (const piece of request) text += String(piece)
    if (request.url === '/v1/models') return void response.end('{"data":[{"id":"m"}]}')
    if (request.url === '/v1/completions') {
      number += 1
      return answer(response, number, (JSON.parse(text) as { prompt: string }).prompt)
    }
    response.statusCode = 404
    response.end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  closing.push(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function bench(url: string, ...args: string[]) {
  const json = join(folder, 'report.json')
  const all = [
    '--import',
    'tsx',
    main,
    'bench',
    '--url',
    url,
    '--json',
    json,
    '--prompt-tokens',
    '4',
    ...args,
  ]
  const env = { ...process.env }
  const start = (nodeOptions = '') => {
    const child = spawn(process.execPath, all, { env: { ...env, NODE_OPTIONS: nodeOptions } })
    let stderr = ''
    child.stderr.on('data', (piece: Buffer) => (stderr += String(piece)))
    child.stdout.resume()
    const exit = once(child, 'close') as Promise<[number | null]>
    return { child, exit, stderr: () => stderr }
  }
  return { start, report: () => parseBenchReport(readFileSync(json, 'utf8'), json) }
}

describe('switchyard bench', () => {
  it('reports what was done when it is interrupted', async () => {
    let third: () => void
    const reached = new Promise<void>((resolve) => (third = resolve))
    const url = await serve((response, number) => {
      if (number === 3) third()
      if (number < 3) response.end(token + end)
    })
    const { start, report } = bench(url, '--requests', '9', '--concurrency', '1', '--force')
    const { child, exit } = start()
    await reached
    child.kill('SIGINT')
    expect((await exit)[0]).toBe(130)
    expect(report()).toMatchObject({ isInterrupted: true, targets: [{ figures: { numMeasured: 2 } }] })
  })

  it('names a server that streams nonsense, fails, or hangs up, and goes on with the others', async () => {
    const url = await serve((response, number) => {
      if (number === 1) return void response.end(token + end)
      if (number === 2) return void response.end('data: {{{\n\n')
      if (number === 3) return void response.write(token, () => response.destroy())
      response.statusCode = 500
      response.end('{"error":{"message":"out of memory"}}')
    })
    const { start, report } = bench(url, '--requests', '4', '--concurrency', '1', '--force')
    expect((await start().exit)[0]).toBe(1)
    const { figures } = report().targets[0]!
    expect(figures).toMatchObject({ numMeasured: 4, numFailed: 3 })
    expect(Object.keys(figures.errors)).toEqual([
      expect.stringMatching(/^malformed event: \{\{\{/),
      expect.stringMatching(/ECONNRESET|cut off|aborted/),
      '500: out of memory',
    ])
  })

  it('leaves a report that says so when nobody is there', async () => {
    const url = await serve(() => undefined)
    for (const close of closing.splice(0)) close()
    const { start, report } = bench(url, '--requests', '4', '--force')
    expect((await start().exit)[0]).toBe(1)
    const { figures } = report().targets[0]!
    expect(figures.numMeasured).toBe(0)
    expect(Object.keys(figures.errors)).toEqual([expect.stringMatching(/ECONNREFUSED/)])
  })

  it('asks for something new at every rate of a sweep, and leaves keys out of the report', async () => {
    const prompts: string[] = []
    const url = await serve((response, _number, prompt) => {
      prompts.push(prompt)
      response.end(token + end)
    })
    const load = ['--requests', '8', '--output-tokens', '1', '--sweep', '100,200']
    const { start, report } = bench(url, ...load, '--force', '--api-key', 'sk-secret')
    expect((await start().exit)[0]).toBe(0)
    expect(new Set(prompts).size).toBe(16)
    const { sweep, command } = report()
    expect(sweep?.map(({ requestsPerSecond }) => requestsPerSecond)).toEqual([100, 200])
    expect(command).not.toContain('sk-secret')
  })

  it('refuses to report when it was slow itself, unless it is forced', async () => {
    const url = await serve((response) => response.end(token + end))
    // In the client alone; the server that it measures itself against is another process.
    const stall = 'setInterval(()=>{const t=Date.now()+120;while(Date.now()<t);},100)'
    const block = `if(process.argv.includes('bench'))${stall}`
    const slow = `--import "data:text/javascript,${block}"`
    const load = ['--requests', '20', '--rate', '40', '--output-tokens', '1']
    const refused = bench(url, ...load)
    const run = refused.start(slow)
    expect((await run.exit)[0]).toBe(3)
    expect(run.stderr()).toMatch(/the client was the bottleneck/)
    expect(() => refused.report()).toThrow('ENOENT')
    const forced = bench(url, ...load, '--force')
    expect((await forced.start(slow).exit)[0]).toBe(0)
    expect(forced.report().client.warnings).not.toEqual([])
  })
})
