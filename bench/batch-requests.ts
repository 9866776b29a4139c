/** Requests that share long prompts by groups, and a batch of them. */
import { RandomStream } from '../src/core/random.ts'

export interface BatchBody {
  readonly prompt: readonly number[]
  readonly max_tokens: number
  readonly temperature: 0
  readonly ignore_eos: true
}

export interface BatchShape {
  readonly requests: number
  readonly groups: number
  /** Tokens that a group shares, that are a request's own, and that are generated. */
  readonly prefix: number
  readonly suffix: number
  readonly output: number
}

export interface BatchState {
  readonly id: string
  readonly status: string
  readonly output_file_id: string | null
  readonly request_counts: { readonly completed: number; readonly failed: number }
}

/** In shuffled order. Random tokens, so that text and tokenizer play no part; every group has its own beginning. */
export function makeBodies({ requests, groups, prefix, suffix, output }: BatchShape): BatchBody[] {
  const random = new RandomStream(1)
  const tokens = (length: number) => Array.from({ length }, () => 1000 + random.below(20_000))
  const prefixes = Array.from({ length: groups }, () => tokens(prefix))
  const bodies = Array.from({ length: requests }, (_, n): BatchBody => ({
    prompt: [...prefixes[n % groups]!, ...tokens(suffix)],
    max_tokens: output,
    temperature: 0,
    ignore_eos: true,
  }))
  const order = bodies.map((body) => ({ body, key: random.next() })).toSorted((a, b) => a.key - b.key)
  return order.map(({ body }) => body)
}

/** Uploads the requests and makes a batch of them, which may run from then on. */
export async function startBatch(url: string, bodies: readonly BatchBody[]): Promise<BatchState> {
  const lines = bodies.map((body, n) =>
    JSON.stringify({ custom_id: `${n}`, method: 'POST', url: '/v1/completions', body }),
  )
  const form = new FormData()
  form.set('purpose', 'batch')
  form.set('file', new File([lines.join('\n')], 'requests.jsonl'))
  const file = await readJson<{ id: string }>(await fetch(`${url}/v1/files`, { method: 'POST', body: form }))
  const fields = { input_file_id: file.id, endpoint: '/v1/completions', completion_window: '24h' }
  return postJson<BatchState>(`${url}/v1/batches`, fields)
}

export async function findBatch(url: string, id: string): Promise<BatchState> {
  return readJson<BatchState>(await fetch(`${url}/v1/batches/${id}`))
}

/** Rejects with what the server said when it is no success. */
export async function postJson<Answer>(url: string, body: object, signal?: AbortSignal): Promise<Answer> {
  const headers = { 'content-type': 'application/json' }
  const init = { method: 'POST', headers, body: JSON.stringify(body), ...(signal && { signal }) }
  return readJson<Answer>(await fetch(url, init))
}

export async function readJson<Answer>(response: Response): Promise<Answer> {
  if (!response.ok) throw new Error(`${response.url}: ${response.status} ${await response.text()}`)
  return (await response.json()) as Answer
}
