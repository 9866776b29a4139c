/** What the load generator itself costs, against a server that costs nothing. */
import { fork } from 'node:child_process'
import { micros } from '../core/units.ts'
import type { Workload } from '../workload/workload.ts'
import { replay } from './replay.ts'
import { openAi } from './targets/openai.ts'

const numStreams = 100
const numTokens = 50

/** Microseconds of this process' time for each token event. */
export async function measureOverhead(signal: AbortSignal): Promise<number | undefined> {
  const { url, stop } = await startNullServerProcess({ gapMs: 1 })
  try {
    const run = () =>
      replay({
        target: {
          name: 'null',
          endpoint: { url, apiKey: undefined },
          adapter: openAi,
          version: undefined,
          model: 'null',
        },
        vocabulary: { kind: 'words', words: ['one', 'two'] },
        workload,
        seed: 0,
        loop: { kind: 'open' },
        history: 'trace',
        timeoutMs: 10_000,
        signal,
      })
    // The first time compiles what the second measures.
    await run()
    const before = process.cpuUsage()
    const records = await run()
    const { user, system } = process.cpuUsage(before)
    const numEvents = records.reduce((total, { tokenTimes }) => total + tokenTimes.length, 0)
    return numEvents === 0 ? undefined : (user + system) / numEvents
  } finally {
    stop()
  }
}

/** A null server with a core of its own, if there is one. */
export async function startNullServerProcess(options: object): Promise<{ url: string; stop: () => void }> {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  const child = fork(new URL(`./null-server-child.${extension}`, import.meta.url), [JSON.stringify(options)])
  const url = await new Promise<string>((resolve, reject) => {
    child.once('message', (message) => resolve(String(message)))
    child.once('exit', (code) => reject(new Error(`the null server ended with ${code}`)))
  })
  return { url, stop: () => child.disconnect() }
}

const workload: Workload = {
  name: 'self-measurement',
  blockSize: 16,
  provenance: [],
  requests: Array.from({ length: numStreams }, (_, index) => ({
    arrival: micros(0),
    tenant: 'self',
    program: undefined,
    turn: 0,
    gap: micros(0),
    gapKind: undefined,
    numPromptTokens: 16,
    numOutputTokens: numTokens,
    blocks: [index],
    serviceClass: 'default',
  })),
}
