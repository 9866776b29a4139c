/**
 * Branches on a trunk: a long prompt is answered, and while it still is, three more requests come that begin with the
 * same tokens. How long do they wait for their first token, as a share of what the first waited?
 *
 *   npx tsx bench/branches.ts URL [URL] [--trunk 7000] [--branches 4] [--rounds 3]
 */
import { parseArgs } from 'node:util'
import { RandomStream } from '../src/core/random.ts'
import { median, table } from './report.ts'
import { streamCompletion, tokenOf } from './token-stream.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '3' },
    trunk: { type: 'string', default: '7000' },
    tail: { type: 'string', default: '20' },
    branches: { type: 'string', default: '4' },
    /** Token ids are drawn from [1, this). */
    vocab: { type: 'string', default: '30000' },
  },
})
if (positionals.length === 0) throw new Error('usage: branches.ts URL [URL] [--trunk 7000] [--rounds 3]')
const random = new RandomStream(Date.now() % 2 ** 31)
const draw = (length: number): number[] =>
  Array.from({ length }, () => 1 + random.below(Number(values.vocab) - 1))
const token = await tokenOf(positionals[0]!, ' the')

/** Milliseconds to the first token of each branch. */
async function runRound(url: string): Promise<number[]> {
  const trunk = draw(Number(values.trunk))
  const start = (maxTokens: number) => {
    const sentAt = performance.now()
    const prompt = [...trunk, ...draw(Number(values.tail))]
    const stream = streamCompletion(url, { prompt, max_tokens: maxTokens, token, reusesPrefix: true })
    return { stream, ttft: async () => (await stream.received(1), stream.times[0]! - sentAt) }
  }
  const first = start(1000)
  const ttfts = [await first.ttft()]
  const others = Array.from({ length: Number(values.branches) - 1 }, () => start(8))
  for (const other of others) ttfts.push(await other.ttft())
  for (const { stream } of [first, ...others]) await stream.cancel()
  return ttfts
}

const rows: string[][] = []
const rounds = new Map<string, number[][]>(positionals.map((url) => [url, []]))
for (let round = 0; round < Number(values.rounds); round += 1) {
  for (const url of positionals) rounds.get(url)!.push(await runRound(url))
}
for (const url of positionals) {
  const all = rounds.get(url)!
  const firsts = median(all.map((ttfts) => ttfts[0]!))
  const slowest = median(all.map((ttfts) => Math.max(...ttfts.slice(1))))
  rows.push([url, firsts.toFixed(0), slowest.toFixed(0), `${((slowest / firsts) * 100).toFixed(1)} %`])
}
process.stdout.write(table(['server', 'first ms', 'slowest branch ms', 'share'], rows))
