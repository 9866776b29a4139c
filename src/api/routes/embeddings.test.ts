import { Ollama } from 'ollama'
import OpenAI, { toFile } from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bundledName, startBundledServer, type BundledServer } from '../../../test/support/bundled-server.ts'

let server: BundledServer
let client: OpenAI

beforeAll(async () => {
  server = await startBundledServer({ pooling: 'mean' })
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'any', maxRetries: 0 })
})

afterAll(() => server.close())

const model = bundledName
const texts = ['plum K7-42 lantern', 'Count from 1 to 40.', 'plum K7-42 lanterns']
const dot = (a: readonly number[], b: readonly number[]) =>
  a.reduce((sum, value, at) => sum + value * b[at]!, 0)
const post = async (path: string, body: object) => {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(server.url + path, { method: 'POST', headers, body: JSON.stringify(body) })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

describe("OpenAI's client", () => {
  it('embeds several texts, each of length 1, the same in floats and in base64', async () => {
    const floats = await client.embeddings.create({ model, input: texts, encoding_format: 'float' })
    const coded = await client.embeddings.create({ model, input: texts })
    expect(floats).toMatchObject({
      object: 'list',
      model,
      data: texts.map((_, index) => ({ object: 'embedding', index })),
    })
    for (const [index, { embedding }] of floats.data.entries()) {
      expect(embedding).toHaveLength(256)
      expect(dot(embedding, embedding)).toBeCloseTo(1, 5)
      expect(dot(embedding, coded.data[index]!.embedding)).toBeCloseTo(1, 5)
    }
    const [plum, count, plums] = floats.data.map(({ embedding }) => embedding)
    expect(dot(plum!, plums!)).toBeGreaterThan(dot(plum!, count!))
  })

  it('embeds tokens as the text that they are, and counts them', async () => {
    const { body } = await post('/tokenize', { prompt: texts[0] })
    const tokens = body['tokens'] as number[]
    const asText = await client.embeddings.create({ model, input: texts[0]! })
    const asTokens = await client.embeddings.create({ model, input: tokens })
    const asLists = await client.embeddings.create({ model, input: [tokens, tokens] })
    expect(asTokens.usage).toStrictEqual({ prompt_tokens: tokens.length, total_tokens: tokens.length })
    expect(asLists.data).toHaveLength(2)
    expect(dot(asText.data[0]!.embedding, asTokens.data[0]!.embedding)).toBeCloseTo(1, 5)
  })

  it('gets fewer dimensions, at length 1 again', async () => {
    const whole = await client.embeddings.create({ model, input: texts[0]! })
    const cut = await client.embeddings.create({ model, input: texts[0]!, dimensions: 64 })
    const [long, short] = [whole.data[0]!.embedding.slice(0, 64), cut.data[0]!.embedding]
    expect(short).toHaveLength(64)
    expect(dot(short, short)).toBeCloseTo(1, 5)
    expect(dot(long, short) / Math.sqrt(dot(long, long))).toBeCloseTo(1, 5)
  })

  it('embeds the lines of a batch as it embeds anything else', async () => {
    const lines = texts.map((input, n) =>
      JSON.stringify({ custom_id: `${n}`, method: 'POST', url: '/v1/embeddings', body: { model, input } }),
    )
    const file = await client.files.create({
      file: await toFile(Buffer.from(lines.join('\n')), 'in.jsonl'),
      purpose: 'batch',
    })
    let batch = await client.batches.create({
      input_file_id: file.id,
      endpoint: '/v1/embeddings',
      completion_window: '24h',
    })
    while (batch.status !== 'completed') batch = await client.batches.retrieve(batch.id)
    const results = (await (await client.files.content(batch.output_file_id!)).text()).trimEnd().split('\n')
    const alone = await client.embeddings.create({ model, input: texts, encoding_format: 'float' })
    expect(results).toHaveLength(texts.length)
    for (const [n, result] of results.entries()) {
      const { custom_id, response } = JSON.parse(result) as {
        custom_id: string
        response: { body: OpenAI.CreateEmbeddingResponse }
      }
      expect(custom_id).toBe(`${n}`)
      expect(dot(response.body.data[0]!.embedding, alone.data[n]!.embedding)).toBeCloseTo(1, 4)
    }
  })

  it('is told what cannot be embedded', async () => {
    const refused = (fields: object) =>
      expect(client.embeddings.create({ model, input: 'x', ...fields })).rejects
    await refused({ dimensions: 257 }).toMatchObject({ status: 400, param: 'dimensions' })
    await refused({ input: '' }).toMatchObject({ status: 400, param: 'input' })
    await refused({ input: [] }).toMatchObject({ status: 400, param: 'input' })
    await refused({ input: ['x', 'harbour '.repeat(2000)] }).toMatchObject({ status: 400, param: 'input[1]' })
    await refused({ input: [99_999] }).toMatchObject({ status: 400, param: 'input' })
    await refused({ input: Array.from({ length: 2049 }, () => 'x') }).toMatchObject({
      status: 400,
      param: 'input',
    })
    await refused({ model: 'other' }).toMatchObject({ status: 404 })
  })

  it('leaves a timeline, like every request', async () => {
    const { response } = await client.embeddings.create({ model, input: texts }).withResponse()
    const id = response.headers.get('x-request-id')
    const timeline = (await (await fetch(`${server.url}/v1/requests/${id}/timeline`)).json()) as {
      choices: unknown[]
    }
    expect(timeline).toMatchObject({ status: 'finished' })
    expect(timeline.choices).toHaveLength(3)
  })
})

describe("Ollama's client", () => {
  it('embeds several texts, cuts what is too long, and knows the old form', async () => {
    const ollama = new Ollama({ host: server.url })
    const { embeddings, prompt_eval_count: count } = await ollama.embed({ model, input: texts })
    const { data } = await client.embeddings.create({ model, input: texts })
    embeddings.forEach((embedding, index) => expect(dot(embedding, data[index]!.embedding)).toBeCloseTo(1, 5))
    expect(count).toBeGreaterThan(texts.length)
    const long = 'harbour '.repeat(2000)
    expect((await ollama.embed({ model, input: long })).embeddings).toHaveLength(1)
    await expect(ollama.embed({ model, input: long, truncate: false })).rejects.toMatchObject({
      status_code: 400,
    })
    const old = await ollama.embeddings({ model, prompt: texts[0]! })
    expect(dot(old.embedding, embeddings[0]!)).toBeCloseTo(1, 5)
  })
})

describe('texts that are compared', () => {
  it('are ranked by how near they are to a query', async () => {
    const asked = {
      model,
      query: texts[0],
      documents: [texts[1], { text: texts[2] }],
      return_documents: true,
    }
    const { body } = await post('/v1/rerank', asked)
    const results = body['results'] as { index: number; relevance_score: number; document: unknown }[]
    expect(results.map(({ index }) => index)).toStrictEqual([1, 0])
    expect(results[0]!.document).toStrictEqual({ text: texts[2] })
    const { data } = await client.embeddings.create({ model, input: texts })
    expect(results[0]!.relevance_score).toBeCloseTo(dot(data[0]!.embedding, data[2]!.embedding), 5)
    expect((await post('/rerank', { ...asked, top_n: 1 })).body['results']).toHaveLength(1)
  })

  it('are scored in pairs, or all against one', async () => {
    const one = await post('/v1/score', { model, text_1: texts[0], text_2: texts })
    expect(one.body).toMatchObject({
      object: 'list',
      data: texts.map((_, index) => ({ index, object: 'score' })),
    })
    const scores = (one.body['data'] as { score: number }[]).map(({ score }) => score)
    expect(scores[0]).toBeCloseTo(1, 5)
    const pairs = await post('/score', { model, text_1: texts, text_2: texts.toReversed() })
    expect((pairs.body['data'] as { score: number }[])[0]!.score).toBeCloseTo(scores[2]!, 5)
    const uneven = await post('/v1/score', { model, text_1: texts, text_2: [texts[0]] })
    expect(uneven).toMatchObject({ status: 400, body: { error: { param: 'text_1' } } })
  })

  it('are refused where the model was not made for it', async () => {
    const plain = await startBundledServer()
    const answer = await fetch(`${plain.url}/v1/rerank`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query: 'x', documents: ['y'] }),
    })
    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({ error: { message: expect.stringContaining('--pooling') } })
    await plain.close()
  })
})
