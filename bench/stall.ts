/**
 * How long do running streams stop when a long prompt arrives? Seven streams decode on a server, a prompt of 2,000
 * tokens comes in, and the longest gap between two tokens that any of the seven sees until the newcomer's first
 * token is noted. Two servers, interleaved, medians over rounds:
 *
 *   npx tsx bench/stall.ts http://127.0.0.1:8000 http://127.0.0.1:8080
 *
 * Both must serve the same model, with room for eight sequences, and accept token ids as a prompt.
 */
import { parseArgs } from 'node:util'
import { RandomStream } from '../src/core/random.ts'
import { median, table } from './report.ts'
import { streamCompletion, tokenOf, type TokenStream } from './token-stream.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    streams: { type: 'string', default: '7' },
    prompt: { type: 'string', default: '2000' },
    /** Token ids are drawn from [1, this). */
    vocab: { type: 'string', default: '30000' },
  },
})
const [numRounds, numStreams, promptLength, vocab] = [
  values.rounds,
  values.streams,
  values.prompt,
  values.vocab,
].map(Number) as [number, number, number, number]
if (positionals.length === 0)
  throw new Error('usage: stall.ts URL [URL] [--rounds 5] [--streams 7] [--prompt 2000]')

interface Round {
  /** Milliseconds. */
  readonly plainGap: number
  /** Before the prompt came. */
  readonly longestPlainGap: number
  readonly longestGap: number
  readonly firstToken: number
}

const random = new RandomStream(Date.now() % 2 ** 31)
const makePrompt = (length: number): number[] => Array.from({ length }, () => 1 + random.below(vocab - 1))

const token = await tokenOf(positionals[0]!, ' the')

async function runRound(url: string): Promise<Round> {
  const streams = Array.from({ length: numStreams }, () =>
    streamCompletion(url, { prompt: makePrompt(32), max_tokens: 4096, token }),
  )
  await Promise.all(streams.map((stream) => stream.received(24)))
  const arrivedAt = performance.now()
  const newcomer = streamCompletion(url, { prompt: makePrompt(promptLength), max_tokens: 4, token })
  await newcomer.received(1)
  const firstTokenAt = newcomer.times[0]!
  await Promise.all(streams.map((stream) => stream.received(stream.times.length + 2)))
  for (const stream of [...streams, newcomer]) await stream.cancel()
  const plainGaps = streams.flatMap((stream) => gapsBetween(stream, 8, arrivedAt))
  return {
    plainGap: median(plainGaps),
    longestPlainGap: Math.max(...plainGaps),
    longestGap: Math.max(...streams.flatMap((stream) => gapsAround(stream, arrivedAt, firstTokenAt))),
    firstToken: firstTokenAt - arrivedAt,
  }
}

function gapsBetween(stream: TokenStream, firstIndex: number, until: number): number[] {
  const times = stream.times.slice(firstIndex).filter((time) => time < until)
  return times.slice(1).map((time, index) => time - times[index]!)
}

/** Gaps that overlap [from, to]. */
function gapsAround(stream: TokenStream, from: number, to: number): number[] {
  const { times } = stream
  return times
    .slice(1)
    .flatMap((time, index) => (time >= from && times[index]! <= to ? [time - times[index]!] : []))
}

const rounds = new Map<string, Round[]>(positionals.map((url) => [url, []]))
for (const url of positionals) await runRound(url)
for (let round = 0; round < numRounds; round += 1) {
  const order = round % 2 === 0 ? positionals : positionals.toReversed()
  for (const url of order) rounds.get(url)!.push(await runRound(url))
}

const longestOf = (url: string): number => median(rounds.get(url)!.map((round) => round.longestGap))
const first = longestOf(positionals[0]!)
process.stdout.write(
  table(
    [
      'server',
      'plain gap ms',
      'longest plain ms',
      'longest gap ms',
      'worst round ms',
      'newcomer TTFT ms',
      'first / this',
    ],
    positionals.map((url) => {
      const all = rounds.get(url)!
      return [
        url,
        median(all.map((round) => round.plainGap)).toFixed(1),
        median(all.map((round) => round.longestPlainGap)).toFixed(1),
        longestOf(url).toFixed(1),
        Math.max(...all.map((round) => round.longestGap)).toFixed(1),
        median(all.map((round) => round.firstToken)).toFixed(0),
        (first / longestOf(url)).toFixed(2),
      ]
    }),
  ),
)
