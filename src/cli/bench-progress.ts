/** What `bench` shows on a terminal while it runs. */
import type { BenchProgress } from '../bench/run-bench.ts'
import { percentile } from '../metrics/summary.ts'

const redrawMs = 200

export interface LiveView {
  update(progress: BenchProgress): void
  /** Wipes it. */
  close(): void
}

/** One line, redrawn; nothing where the stream is no terminal. */
export function liveView(numRequests: number, stream: NodeJS.WriteStream): LiveView {
  if (!stream.isTTY) return { update: () => undefined, close: () => undefined }
  let where = ''
  let counts = emptyCounts()
  const draw = (): void => {
    const seconds = (performance.now() - counts.startedAt) / 1000
    const ttfts = counts.ttfts.toSorted((a, b) => a - b)
    const parts = [
      `${where}: ${counts.ended} of ${numRequests} requests`,
      `${counts.sent - counts.ended} under way`,
      `${(counts.tokens / Math.max(seconds, 0.001)).toFixed(0)} tokens/s`,
      ...(ttfts.length === 0 ? [] : [`TTFT p99 ${percentile(ttfts, 0.99).toFixed(0)} ms`]),
      ...(counts.failed === 0 ? [] : [`${counts.failed} failed`]),
    ]
    stream.write(`\r\u001b[K${parts.join(', ').slice(0, (stream.columns ?? 100) - 1)}`)
  }
  const timer = setInterval(draw, redrawMs)
  timer.unref()
  return {
    update: (progress) => {
      const place = progress.round === 0 ? progress.target : `${progress.target}, round ${progress.round + 1}`
      if (place !== where) counts = emptyCounts()
      where = place
      count(counts, progress)
    },
    close: () => {
      clearInterval(timer)
      stream.write('\r\u001b[K')
    },
  }
}

interface Counts {
  readonly startedAt: number
  sent: number
  ended: number
  failed: number
  tokens: number
  readonly ttfts: number[]
}

function emptyCounts(): Counts {
  return { startedAt: performance.now(), sent: 0, ended: 0, failed: 0, tokens: 0, ttfts: [] }
}

function count(counts: Counts, { event, record }: BenchProgress): void {
  if (event === 'sent') counts.sent += 1
  if (event === 'token') counts.tokens += 1
  if (event !== 'ended' || record === undefined) return
  counts.ended += 1
  if (record.error !== undefined) counts.failed += 1
  else if (record.firstTokenAt !== undefined) counts.ttfts.push(record.firstTokenAt - record.intendedAt)
}
