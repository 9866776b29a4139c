/** The load of `switchyard bench`: sends requests in a closed or an open loop and notes when their tokens came. */
import type { Micros } from '../core/units.ts'
import { streamChunks, type Endpoint, type StreamChunk } from './openai-client.ts'

export interface Load {
  readonly endpoint: Endpoint
  readonly model: string
  readonly prompts: readonly BenchPrompt[]
  readonly outputTokens: number
  /** Sends request i so long after the start. Undefined: `concurrency` requests are under way at any time. */
  readonly arrivals: readonly Micros[] | undefined
  readonly concurrency: number
  /** Ends the run early; what is under way then counts for nothing. */
  readonly signal: AbortSignal
  readonly onFinished: (record: RequestRecord) => void
}

/** Token ids where the server can tokenise, else text of about as many tokens. */
export type BenchPrompt =
  | { readonly tokens: readonly number[] }
  | { readonly text: string; readonly approximateTokens: number }

/** One finished request. Instants are milliseconds on one clock. */
export interface RequestRecord {
  /** When it should have been sent: latencies count from here, so that a late sender hides nothing. */
  readonly intendedAt: number
  /** When each piece of text arrived. */
  readonly tokenTimes: readonly number[]
  readonly endedAt: number
  readonly numPromptTokens: number
  readonly numOutputTokens: number
  readonly error: string | undefined
}

/** Resolves when all requests have ended; the records of those that were not cut off by the signal. */
export async function runLoad(load: Load): Promise<readonly RequestRecord[]> {
  const records: RequestRecord[] = []
  const send = async (prompt: BenchPrompt, intendedAt: number): Promise<void> => {
    const record = await sendRequest(load, prompt, intendedAt)
    if (load.signal.aborted) return
    records.push(record)
    load.onFinished(record)
  }
  await (load.arrivals === undefined ? closedLoop(load, send) : openLoop(load, load.arrivals, send))
  return records
}

type Send = (prompt: BenchPrompt, intendedAt: number) => Promise<void>

async function closedLoop({ prompts, concurrency, signal }: Load, send: Send): Promise<void> {
  const queue = prompts.values()
  const worker = async (): Promise<void> => {
    for (const prompt of queue) {
      if (signal.aborted) return
      await send(prompt, performance.now())
    }
  }
  await Promise.all(Array.from({ length: Math.min(concurrency, prompts.length) }, worker))
}

async function openLoop({ prompts, signal }: Load, arrivals: readonly Micros[], send: Send): Promise<void> {
  const startedAt = performance.now()
  const sendAt = async (prompt: BenchPrompt, index: number): Promise<void> => {
    const intendedAt = startedAt + arrivals[index]! / 1000
    await waitUntil(intendedAt, signal)
    if (!signal.aborted) await send(prompt, intendedAt)
  }
  await Promise.all(prompts.map(sendAt))
}

function waitUntil(at: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const stop = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', stop)
      resolve()
    }
    const timer = setTimeout(stop, Math.max(0, at - performance.now()))
    signal.addEventListener('abort', stop)
  })
}

async function sendRequest(load: Load, prompt: BenchPrompt, intendedAt: number): Promise<RequestRecord> {
  const tokenTimes: number[] = []
  let usage: StreamChunk['usage']
  let error: string | undefined
  const onChunk = (chunk: StreamChunk): void => {
    usage = chunk.usage ?? usage
    if (carriesToken(chunk)) tokenTimes.push(performance.now())
  }
  try {
    const { signal } = load
    await streamChunks(load.endpoint, '/v1/completions', requestBody(load, prompt), { signal, onChunk })
    if (tokenTimes.length === 0) error = 'the stream ended without a token'
  } catch (cause) {
    error = cause instanceof Error ? cause.message : String(cause)
  }
  return {
    intendedAt,
    tokenTimes,
    endedAt: performance.now(),
    numPromptTokens: usage?.prompt_tokens ?? promptLength(prompt),
    numOutputTokens: usage?.completion_tokens ?? tokenTimes.length,
    error,
  }
}

/** The last chunk may have text too; one with neither text nor a finish reason is a token that shows nothing yet. */
function carriesToken({ choices }: StreamChunk): boolean {
  const choice = choices?.[0]
  if (choice === undefined) return false
  return (choice.text ?? '') !== '' || (choice.finish_reason ?? null) === null
}

function requestBody({ model, outputTokens }: Load, prompt: BenchPrompt): object {
  return {
    model,
    prompt: 'tokens' in prompt ? prompt.tokens : prompt.text,
    max_tokens: outputTokens,
    ignore_eos: true,
    temperature: 0,
    stream: true,
    stream_options: { include_usage: true },
  }
}

export function promptLength(prompt: BenchPrompt): number {
  return 'tokens' in prompt ? prompt.tokens.length : prompt.approximateTokens
}
