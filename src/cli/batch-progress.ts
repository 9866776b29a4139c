import type { Batch } from '../storage/batch-store.ts'
import { barText } from './terminal.ts'

export interface BatchView {
  update(batch: Batch): void
  /** Wipes the bar. */
  close(): void
}

/** Between two lines where there is no terminal. */
const plainMillis = 10_000

/** A bar on a terminal; elsewhere a line now and then, and only when something has changed. */
export function showBatch(stream: NodeJS.WriteStream): BatchView {
  let first: { readonly done: number; readonly at: number } | undefined
  let told = { text: '', at: performance.now() }
  const describe = ({ completed, failed, total, status }: Batch): string => {
    if (status === 'validating') return 'Reading the file'
    const now = performance.now()
    const done = completed + failed
    first ??= { done, at: now }
    const perSecond = (done - first.done) / Math.max(0.001, (now - first.at) / 1000)
    const left = perSecond > 0 ? `, ${duration((total - done) / perSecond)} left` : ''
    const failures = failed === 0 ? '' : `, ${failed} failed`
    return `${done} of ${total} requests${failures}, ${perSecond.toFixed(1)} a second${done < total ? left : ''}`
  }
  const update = (batch: Batch): void => {
    const text = describe(batch)
    const fraction = batch.total === 0 ? 0 : (batch.completed + batch.failed) / batch.total
    if (stream.isTTY)
      stream.write(`\r\u001b[K${barText(fraction, 30)}  ${text}`.slice(0, (stream.columns ?? 100) + 3))
    else if (text !== told.text && performance.now() - told.at >= plainMillis) {
      stream.write(`${text}\n`)
      told = { text, at: performance.now() }
    }
  }
  return {
    update,
    close: () => void (stream.isTTY && stream.write('\r\u001b[K')),
  }
}

/** `75 s`, `12 min`, `3.5 h`. */
function duration(seconds: number): string {
  if (seconds < 120) return `${Math.ceil(seconds)} s`
  if (seconds < 7200) return `${Math.ceil(seconds / 60)} min`
  return `${(seconds / 3600).toFixed(1)} h`
}
