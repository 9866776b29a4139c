/** A streamed completion seen from outside: only when its tokens came. */
export interface TokenStream {
  /** `performance.now()` at each event that carried a token. */
  readonly times: readonly number[]
  /** Resolves when so many have come. Rejects when the stream ends before. */
  received(count: number): Promise<void>
  cancel(): Promise<void>
}

export interface CompletionBody {
  readonly prompt: readonly number[]
  readonly max_tokens: number
  /** The token to generate over and over: one that is whole text, which no server holds back. */
  readonly token: number
  /** Whether the server may take what it has cached of the prompt; no is the default. */
  readonly reusesPrefix?: boolean
}

/** The token of `text`; it must be one. Knows the request fields of both families of servers. */
export async function tokenOf(url: string, text: string): Promise<number> {
  const response = await fetch(new URL('/tokenize', url), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ content: text, prompt: text, add_special: false, add_special_tokens: false }),
  })
  const { tokens } = (await response.json()) as { tokens?: number[] }
  if (tokens?.length !== 1) throw new Error(`${url} has no single token for '${text}'`)
  return tokens[0]!
}

/** Starts a greedy completion that does not stop at end tokens and shares no cached prefix. */
export function streamCompletion(url: string, body: CompletionBody): TokenStream {
  const times: number[] = []
  const abort = new AbortController()
  let waiting: { count: number; resolve: () => void; reject: (error: unknown) => void }[] = []
  let ended: Error | undefined

  function note(): void {
    times.push(performance.now())
    const ready = waiting.filter(({ count }) => times.length >= count)
    waiting = waiting.filter(({ count }) => times.length < count)
    for (const { resolve } of ready) resolve()
  }

  function end(error: Error): void {
    ended = error
    for (const { reject } of waiting) reject(error)
    waiting = []
  }

  const finished = readEvents(url, body, abort.signal, note).then(
    () => end(new Error(`the stream of ${url} ended after ${times.length} tokens`)),
    (error: unknown) => end(error instanceof Error ? error : new Error(String(error))),
  )

  return {
    times,
    received: (count) =>
      new Promise((resolve, reject) => {
        if (times.length >= count) resolve()
        else if (ended !== undefined) reject(ended)
        else waiting.push({ count, resolve, reject })
      }),
    cancel: async () => {
      abort.abort()
      await finished
    },
  }
}

async function readEvents(
  url: string,
  { token, reusesPrefix = false, ...body }: CompletionBody,
  signal: AbortSignal,
  note: () => void,
): Promise<void> {
  const response = await fetch(new URL('/v1/completions', url), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      ...body,
      stream: true,
      temperature: 0,
      logit_bias: { [token]: 100 },
      ignore_eos: true,
      cache_prompt: reusesPrefix,
    }),
    signal,
  })
  if (!response.ok || response.body === null) {
    throw new Error(`${url} answered ${response.status}: ${await response.text()}`)
  }
  let rest = ''
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
    const events = (rest + piece).split('\n\n')
    rest = events.pop()!
    for (const event of events) if (isToken(event)) note()
  }
}

function isToken(event: string): boolean {
  if (!event.startsWith('data: {')) return false
  const { choices } = JSON.parse(event.slice(6)) as { choices?: { finish_reason?: string | null }[] }
  const choice = choices?.[0]
  return choice !== undefined && (choice.finish_reason ?? null) === null
}
