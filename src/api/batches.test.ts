/** Files and batches through the official client, with an engine that says what the test wrote down. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import OpenAI, { toFile } from 'openai'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { listen, scriptedServer, type ScriptedServer } from '../../test/support/api-server.ts'
import { sharedKey } from '../core/tenant.ts'
import { defaultFiles } from './context.ts'
import { sha256 } from './key-ring.ts'

let dir: string
let server: ScriptedServer
let client: OpenAI
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'batches-'))
})
afterEach(async () => {
  server.engine.resume()
  await server.close()
  await server.engine.close()
  rmSync(dir, { recursive: true })
})

async function start(
  script: Parameters<typeof scriptedServer>[0] = 'ok',
  config: Parameters<typeof scriptedServer>[1] = {},
): Promise<void> {
  server = scriptedServer(script, { files: { ...defaultFiles, dataDir: dir }, ...config })
  const port = await listen(server)
  client = new OpenAI({ baseURL: `http://127.0.0.1:${port}/v1`, apiKey: 'sk-ada', maxRetries: 0 })
}

async function restart(...options: Parameters<typeof start>): Promise<void> {
  await server.close()
  await server.engine.close()
  await start(...options)
}

const line = (customId: string, body: object = {}, fields: object = {}): string =>
  JSON.stringify({
    custom_id: customId,
    method: 'POST',
    url: '/v1/completions',
    body: { prompt: `prompt of ${customId}`, temperature: 0, ...body },
    ...fields,
  })

const upload = async (lines: readonly string[], purpose: 'batch' | 'user_data' = 'batch') =>
  client.files.create({ file: await textFile(lines.join('\n')), purpose })
const textFile = (text: string) => toFile(Buffer.from(text), 'in.jsonl')

async function create(lines: readonly string[], fields: object = {}): Promise<OpenAI.Batch> {
  const file = await upload(lines)
  return client.batches.create({
    input_file_id: file.id,
    endpoint: '/v1/completions',
    completion_window: '24h',
    ...fields,
  })
}

async function until(id: string, ...statuses: string[]): Promise<OpenAI.Batch> {
  for (;;) {
    const batch = await client.batches.retrieve(id)
    if (statuses.includes(batch.status)) return batch
    await sleep(5)
  }
}

interface AnyBody {
  readonly choices: readonly { readonly text: string; readonly message: { readonly content: string } }[]
}

interface ResultLine {
  readonly id: string
  readonly custom_id: string
  readonly response: {
    readonly status_code: number
    readonly request_id: string
    readonly body: AnyBody
  } | null
  readonly error: { readonly code: string } | null
}

async function resultsIn(fileId: string | null | undefined): Promise<ResultLine[]> {
  const text = await (await client.files.content(fileId ?? '')).text()
  return text
    .trimEnd()
    .split('\n')
    .map((each) => JSON.parse(each) as ResultLine)
}

describe('files', () => {
  it('go up, are listed, read back and removed', async () => {
    await start()
    const file = await client.files.create({ file: await textFile('Häng Böxe\n'), purpose: 'user_data' })
    expect(file).toMatchObject({
      id: expect.stringMatching(/^file-/),
      object: 'file',
      bytes: 12,
      filename: 'in.jsonl',
      purpose: 'user_data',
      status: 'processed',
    })
    expect(await client.files.retrieve(file.id)).toEqual(file)
    expect(await (await client.files.content(file.id)).text()).toBe('Häng Böxe\n')
    expect((await client.files.list()).data).toEqual([file])
    expect(await client.files.delete(file.id)).toEqual({ id: file.id, object: 'file', deleted: true })
    await expect(client.files.retrieve(file.id)).rejects.toMatchObject({ status: 404 })
    await expect(client.files.content(file.id)).rejects.toMatchObject({ status: 404 })
    expect(readdirSync(join(dir, 'files'))).toEqual([])
  })

  it('say when they go, where they were sent for a time', async () => {
    await start()
    const file = await textFile('x')
    const sent = await client.files.create({
      file,
      purpose: 'batch',
      expires_after: { anchor: 'created_at', seconds: 3600 },
    })
    expect(sent.expires_at).toBe(sent.created_at + 3600)
    expect(await client.files.retrieve(sent.id)).toEqual(sent)
    const tooShort = client.files.create({
      file,
      purpose: 'batch',
      expires_after: { anchor: 'created_at', seconds: 3599 },
    })
    await expect(tooShort).rejects.toMatchObject({ status: 400, param: 'expires_after.seconds' })
    expect(readdirSync(join(dir, 'files'))).toEqual([sent.id])
  })

  it('are listed page by page by the client itself', async () => {
    await start()
    for (let n = 0; n < 5; n++) await upload(['x'])
    const all: string[] = []
    for await (const { id } of client.files.list({ limit: 2 })) all.push(id)
    expect(new Set(all).size).toBe(5)
  })

  it('larger than the limit leave nothing behind', async () => {
    await start('ok', { files: { ...defaultFiles, dataDir: dir, maxFileBytes: 1000 } })
    await expect(upload(['x'.repeat(2000)])).rejects.toMatchObject({ status: 413, code: 'body_too_large' })
    expect(readdirSync(join(dir, 'files'))).toEqual([])
    expect(await upload(['x'.repeat(1000)])).toMatchObject({ bytes: 1000 })
  })

  it('larger than other bodies may be are taken', async () => {
    await start('ok', { maxBodyBytes: 10_000 })
    expect(await upload(['x'.repeat(200_000)])).toMatchObject({ bytes: 200_000 })
  })

  it('without a file, with an unknown purpose, or in another form are refused', async () => {
    await start()
    await expect(
      client.files.create({ file: await textFile('x'), purpose: 'fun' as never }),
    ).rejects.toMatchObject({
      status: 400,
      param: 'purpose',
    })
    const other = await server.app.inject({ method: 'POST', url: '/v1/files', payload: { purpose: 'batch' } })
    expect(other.statusCode).toBe(415)
    expect(readdirSync(join(dir, 'files'))).toEqual([])
  })

  it('of one key are not seen by another', async () => {
    const named = (name: string) => ({ ...sharedKey(sha256(`sk-${name}`)), name })
    await start('ok', { apiKeys: [named('ada'), named('bob'), sharedKey(sha256('sk-all'))] })
    const file = await upload([line('a')])
    for (const apiKey of ['sk-bob', 'sk-all']) {
      const other = client.withOptions({ apiKey })
      expect((await other.files.list()).data).toEqual([])
      await expect(other.files.content(file.id)).rejects.toMatchObject({ status: 404 })
      const batch = {
        input_file_id: file.id,
        endpoint: '/v1/completions',
        completion_window: '24h',
      } as const
      await expect(other.batches.create(batch)).rejects.toMatchObject({ status: 404 })
    }
    expect((await client.files.list()).data).toHaveLength(1)
  })
})

describe('a batch', () => {
  it('answers each line once, in the order of its input', async () => {
    await start()
    const ids = Array.from({ length: 30 }, (_, n) => `line ${n}`)
    const { id } = await create([...ids.map((each) => line(each)), '', '  '], {
      metadata: { name: 'nightly' },
    })
    const batch = await until(id, 'completed')
    expect(batch).toMatchObject({
      object: 'batch',
      endpoint: '/v1/completions',
      request_counts: { total: 30, completed: 30, failed: 0 },
      metadata: { name: 'nightly' },
      errors: null,
      error_file_id: null,
      expires_at: batch.created_at + 86_400,
    })
    for (const time of [batch.in_progress_at, batch.finalizing_at, batch.completed_at])
      expect(time).toBeTypeOf('number')
    const results = await resultsIn(batch.output_file_id)
    expect(results.map((result) => result.custom_id)).toEqual(ids)
    expect(results[7]).toMatchObject({
      id: expect.stringMatching(/^batch_req_/),
      response: { status_code: 200, body: { object: 'text_completion', choices: [{ text: 'ok' }] } },
      error: null,
    })
    expect(results[7]?.response?.request_id).toMatch(/^[0-9a-f-]{36}$/)
    expect(await client.files.retrieve(batch.output_file_id!)).toMatchObject({
      purpose: 'batch_output',
      filename: `${id}_output.jsonl`,
    })
  })

  it('asks for chats as well', async () => {
    await start()
    const body = { messages: [{ role: 'user', content: 'Hi' }] }
    const fields = { url: '/v1/chat/completions', body }
    const { id } = await create([line('a', {}, fields)], { endpoint: '/v1/chat/completions' })
    const [result] = await resultsIn((await until(id, 'completed')).output_file_id)
    expect(result?.response?.body.choices[0]?.message.content).toBe('ok')
  })

  it('asks for responses as well', async () => {
    await start()
    const fields = { url: '/v1/responses', body: { input: 'Hi', instructions: 'Be short.' } }
    const { id } = await create([line('a', {}, fields)], { endpoint: '/v1/responses' })
    const { output_file_id: output } = await until(id, 'completed')
    const text = await (await client.files.content(output!)).text()
    expect(JSON.parse(text)).toMatchObject({
      custom_id: 'a',
      response: {
        status_code: 200,
        body: { object: 'response', status: 'completed', output: [{ content: [{ text: 'ok' }] }] },
      },
    })
  })

  it('has files that go when its time for them is over', async () => {
    await start()
    const { id } = await create([line('a'), line('b', { max_tokens: -1 })], {
      output_expires_after: { anchor: 'created_at', seconds: 7200 },
    })
    const { output_file_id: output, error_file_id: errors } = await until(id, 'completed')
    for (const file of [output, errors]) {
      const { created_at, expires_at } = await client.files.retrieve(file!)
      expect(expires_at).toBe(created_at + 7200)
    }
  })

  it('is of the class for batches and of the tenant who made it, whatever its lines say', async () => {
    const ada = { ...sharedKey(sha256('sk-ada')), name: 'ada', weight: 3, classes: ['priority'] }
    await start('ok', { apiKeys: [ada] })
    const { id } = await create([line('a', { service_tier: 'priority', user: 'eve' })])
    await until(id, 'completed')
    expect(server.engine.requests[0]).toMatchObject({ serviceClass: 'batch', tenant: 'ada', weight: 3 })
  })

  it('runs lines together that begin alike', async () => {
    await start()
    const long = (letter: string) => ({ prompt: letter.repeat(300) })
    const { id } = await create(['a', 'b', 'a', 'b'].map((letter, n) => line(`${n}`, long(letter))))
    await until(id, 'completed')
    const letters = server.engine.requests.map(({ promptTokens }) => promptTokens[0])
    expect(letters).toEqual([97, 97, 98, 98])
  })

  it('puts lines that fail into the error file, with what the surface said', async () => {
    await start()
    const { id } = await create([
      line('good'),
      line('bad', { temperature: 'hot' }),
      line('s', { stream: true }),
    ])
    const batch = await until(id, 'completed')
    expect(batch.request_counts).toEqual({ total: 3, completed: 1, failed: 2 })
    expect((await resultsIn(batch.output_file_id)).map((each) => each.custom_id)).toEqual(['good'])
    expect(await resultsIn(batch.error_file_id)).toMatchObject([
      {
        custom_id: 'bad',
        response: { status_code: 400, body: { error: { param: 'temperature' } } },
        error: null,
      },
      { custom_id: 's', response: { status_code: 400, body: { error: { param: 'stream' } } } },
    ])
  })

  it('whose lines cannot be run fails before any runs, and says which', async () => {
    await start()
    const { id } = await create([
      line('a'),
      '{"custom_id": ',
      line('a'),
      line('b', {}, { url: '/v1/chat/completions' }),
      line('c', {}, { method: 'GET' }),
      line('d', {}, { body: [] }),
      line('', {}),
      '17',
    ])
    const batch = await until(id, 'failed')
    expect(batch.errors?.data?.map(({ code, line: at, param }) => [at, code, param])).toEqual([
      [2, 'invalid_json_line', null],
      [3, 'duplicate_custom_id', 'custom_id'],
      [4, 'mismatched_endpoint', 'url'],
      [5, 'invalid_method', 'method'],
      [6, 'missing_required_parameter', 'body'],
      [7, 'missing_required_parameter', 'custom_id'],
      [8, 'invalid_json_line', null],
    ])
    expect(server.engine.requests).toEqual([])
  })

  it('fails with no line, with too many, or with one that is too long', async () => {
    await start('ok', { files: { ...defaultFiles, dataDir: dir, maxBatchLines: 3 }, maxBodyBytes: 2000 })
    const codeOf = async (lines: readonly string[]) =>
      (await until((await create(lines)).id, 'failed')).errors?.data?.[0]?.code
    expect(await codeOf([' ', ''])).toBe('empty_file')
    expect(await codeOf(['a', 'b', 'c', 'd'].map((each) => line(each)))).toBe('too_many_tasks')
    expect(await codeOf([line('a', { prompt: 'x'.repeat(3000) })])).toBe('line_too_long')
  })

  it.each([
    ['endpoint', { endpoint: '/v1/audio' }, 400],
    ['completion_window', { completion_window: 'soon' }, 400],
    ['metadata', { metadata: { a: 1 } }, 400],
    ['input_file_id', { input_file_id: 'file-none' }, 404],
    ['input_file_id', { input_file_id: 5 }, 400],
  ])('with a wrong %s is not made', async (param, fields, status) => {
    await start()
    const error: unknown = await create([line('a')], fields).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ status, param: expect.stringContaining(param) })
  })

  it('needs a file that was sent for it, and keeps it from being removed', async () => {
    await start()
    const file = await upload([line('a')], 'user_data')
    const wrong = { input_file_id: file.id, endpoint: '/v1/completions', completion_window: '24h' } as const
    await expect(client.batches.create(wrong)).rejects.toMatchObject({ status: 400 })
    server.engine.pause()
    const batch = await create([line('a')])
    await expect(client.files.delete(batch.input_file_id)).rejects.toMatchObject({ status: 400 })
    server.engine.resume()
    await until(batch.id, 'completed')
    await client.files.delete(batch.input_file_id)
  })

  it('is listed, newest first', async () => {
    await start()
    const made = [await create([line('a')]), await create([line('b')]), await create([line('c')])]
    const listed: string[] = []
    for await (const { id } of client.batches.list({ limit: 2 })) listed.push(id)
    expect(listed).toEqual(made.map(({ id }) => id).toReversed())
    await expect(client.batches.retrieve('batch_none')).rejects.toMatchObject({ status: 404 })
    for (const { id } of made) await until(id, 'completed')
    const page = await client.batches.list({ limit: 2 })
    expect(page).toMatchObject({ has_more: true, data: [{ id: made[2]!.id }, { id: made[1]!.id }] })
    const last = await client.batches.list({ limit: 2, after: made[1]!.id })
    expect(last).toMatchObject({ has_more: false, data: [{ id: made[0]!.id }] })
    expect((await client.batches.list({ after: made[0]!.id })).data).toEqual([])
    await expect(client.batches.list({ limit: 101 })).rejects.toMatchObject({ status: 400, param: 'limit' })
    await expect(client.batches.list({ limit: 0 })).rejects.toMatchObject({ status: 400, param: 'limit' })
  })

  it('that is cancelled keeps the answers it has and lists the lines without one', async () => {
    let wasPaused = false
    await start(function* ({ promptTokens }) {
      yield* promptTokens.slice(-2)
      // Once: nobody resumes it a second time.
      if (promptTokens.at(-1) === 57 && !wasPaused) {
        wasPaused = true
        server.engine.pause()
      }
      yield 257
    })
    const ids = Array.from({ length: 20 }, (_, n) => `${n}`)
    const { id } = await create(ids.map((each) => line(each)))
    while (!wasPaused) await sleep(5)
    expect((await client.batches.cancel(id)).status).toBe('cancelling')
    server.engine.resume()
    const batch = await until(id, 'cancelled')
    const { completed, failed, total } = batch.request_counts!
    expect([total, completed + failed]).toEqual([20, 20])
    expect(failed).toBeGreaterThan(0)
    const errors = await resultsIn(batch.error_file_id)
    expect(errors[0]?.error?.code).toBe('batch_cancelled')
    const answers = completed > 0 ? await resultsIn(batch.output_file_id) : []
    expect(new Set([...answers, ...errors].map((each) => each.custom_id))).toEqual(new Set(ids))
    expect((await client.batches.cancel(id)).status).toBe('cancelled')
    await server.engine.idle()
  })

  it('that is cancelled while it waits for another ends at once', async () => {
    await start()
    server.engine.pause()
    const first = await create([line('a')])
    const second = await create([line('b')])
    await client.batches.cancel(second.id)
    await until(second.id, 'cancelled')
    server.engine.resume()
    await until(first.id, 'completed')
  })

  it('that runs out of time ends with what it has', async () => {
    await start()
    server.engine.pause()
    const { id } = await create([line('a')], { completion_window: '1s' })
    const batch = await until(id, 'expired')
    expect(batch).toMatchObject({
      request_counts: { total: 1, completed: 0, failed: 1 },
      output_file_id: null,
    })
    expect((await resultsIn(batch.error_file_id))[0]).toMatchObject({
      response: null,
      error: { code: 'batch_expired' },
    })
  })

  it('goes on after a restart, and runs only lines without a result', async () => {
    let numAnswered = 0
    await start(function* () {
      if (++numAnswered === 5) server.engine.pause()
      yield* [65, 257]
    })
    const ids = Array.from({ length: 20 }, (_, n) => `${n}`)
    const { id } = await create(ids.map((each) => line(each)))
    while (server.engine.requests.length < 8) await sleep(5)
    server.engine.resume()
    await until(id, 'in_progress')
    await restart('again')
    const batch = await until(id, 'completed')
    expect(batch.request_counts).toEqual({ total: 20, completed: 20, failed: 0 })
    const texts = (await resultsIn(batch.output_file_id)).map(
      ({ response }) => response?.body.choices[0]?.text,
    )
    expect(texts).toHaveLength(20)
    expect(server.engine.requests).toHaveLength(texts.filter((text) => text === 'again').length)
  })

  it('waits while the server takes no more, and yields places to others', async () => {
    await start('ok', { files: { ...defaultFiles, dataDir: dir, maxBatchInFlight: 4 } })
    server.engine.pause()
    const { id } = await create(Array.from({ length: 10 }, (_, n) => line(`${n}`)))
    while (server.engine.requests.length < 4) await sleep(5)
    await sleep(50)
    expect(server.engine.requests).toHaveLength(4)
    server.engine.resume()
    await until(id, 'completed')
  })

  it('is not counted where requests of its tenant are limited', async () => {
    await start('ok', {
      admission: {
        maxRequests: 1,
        maxTokens: 100,
        maxTenantRequests: 1,
        maxTenantTokens: 100,
        lateFactor: 1,
      },
    })
    server.engine.pause()
    const { id } = await create(Array.from({ length: 5 }, (_, n) => line(`${n}`)))
    while (server.engine.requests.length < 5) await sleep(5)
    const answer = client.completions.create({ model: 'script', prompt: 'now' })
    server.engine.resume()
    expect((await answer).choices[0]?.text).toBe('ok')
    await until(id, 'completed')
  })

  it('without a data folder is kept in a temporary one', async () => {
    await start('ok', { files: defaultFiles })
    const { id } = await create([line('a')])
    await until(id, 'completed')
    expect(readdirSync(dir)).toEqual([])
  })

  it('gives a line another try when the engine fails, and in the end says how', async () => {
    let numFailures = 0
    await start(function* ({ promptTokens }) {
      const isFirst = promptTokens.at(-1) === 97
      if (!isFirst || numFailures++ === 0) yield new Error('The kernel failed.')
      yield* [79, 257]
    })
    const { id } = await create([line('a'), line('b')])
    const batch = await until(id, 'completed')
    expect((await resultsIn(batch.output_file_id)).map((each) => each.custom_id)).toEqual(['a'])
    expect(await resultsIn(batch.error_file_id)).toMatchObject([
      { custom_id: 'b', response: { status_code: 500, body: { error: { message: 'The kernel failed.' } } } },
    ])
  })
})
