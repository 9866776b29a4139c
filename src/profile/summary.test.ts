import { describe, expect, it } from 'vitest'
import type { BoundModel, MachineLimits } from './bounds.ts'
import { computeCrossing } from './bounds.ts'
import { readTrace, type Trace } from './read-trace.ts'
import type { StepTimes } from './step-times.ts'
import { summarise } from './summary.ts'
import { summaryText } from './summary-text.ts'
import { headerEvents, spanEvent, stepEvents, type TraceEvent } from './trace-events.ts'

/** A byte and two operations for each parameter; a token's attention costs nothing worth mentioning. */
const model: BoundModel = {
  name: 'model',
  layerParameters: 1e6,
  layerBytes: 1e6,
  headParameters: 1e6,
  headBytes: 1e6,
  attentionWidth: 0,
  kvBytesPerToken: 0,
  contextLength: 100,
}
/** Reading all weights takes 2 ms, a row of all products 0.4 ms. */
const limits: MachineLimits = { bytesPerSecond: 1e9, flopsPerSecond: 1e10 }
const header = {
  format: 'switchyard-profile/1',
  modelPath: 'model.gguf',
  device: 'CPU',
  numThreads: 1,
  kvBytesPerToken: 0,
} as const

interface Step {
  readonly batch: number
  /** Milliseconds. */
  readonly javascript: number
  readonly kernels: number
  readonly numPrefillTokens?: number
}

/** JavaScript comes half before the kernels and half behind them. */
function traceOf(steps: readonly Step[], others: readonly TraceEvent[] = []): Trace {
  const events = headerEvents(header)
  let at = 0
  for (const [index, { batch, javascript, kernels, numPrefillTokens = 0 }] of steps.entries()) {
    const startedAt = at
    const builtAt = startedAt + javascript / 2
    const computedAt = builtAt + kernels
    at = computedAt + javascript / 2
    const work = { numDecodes: batch, numPrefillTokens, numSamples: batch, attendedKeys: 0, keysRead: 0 }
    const times: StepTimes = {
      step: index + 1,
      startedAt,
      scheduledAt: startedAt + javascript / 4,
      builtAt,
      computedAt,
      readAt: computedAt,
      endedAt: at,
      emit: [builtAt, builtAt],
      kernels: [],
      work,
    }
    events.push(...stepEvents(times))
  }
  return readTrace(JSON.stringify([...events, ...others]), 'made')
}

const boundBy = (steps: readonly Step[], others?: readonly TraceEvent[]) =>
  summarise(traceOf(steps, others), model, limits).boundBy

describe('the summary of a profile', () => {
  it('says what a run was bound by', () => {
    expect(boundBy([{ batch: 1, javascript: 1, kernels: 3 }])).toBe('memory')
    expect(boundBy([{ batch: 16, javascript: 1, kernels: 9 }])).toBe('compute')
    expect(boundBy([{ batch: 1, javascript: 4, kernels: 3 }])).toBe('javascript')
    const wait = spanEvent('waits', 'wait for blocks', [100, 120])
    expect(boundBy([{ batch: 1, javascript: 4, kernels: 3 }], [wait])).toBe('waiting')
  })

  it('does not take idleness for work', () => {
    const idle = spanEvent('waits', 'idle', [100, 200])
    const summary = summarise(traceOf([{ batch: 1, javascript: 1, kernels: 3 }], [idle]), model, limits)
    expect(summary.boundBy).toBe('memory')
    expect(summary.idle).toBe(100_000)
  })

  it('finds the batch sizes at which the bound changes', () => {
    const sizes = [1, 2, 4, 8, 16].map((batch): Step => ({ batch, javascript: 3, kernels: batch * 1.2 }))
    const { batches, crossings } = summarise(traceOf(sizes), model, limits)
    expect(batches.map((row) => row.boundBy)).toEqual([
      'javascript',
      'javascript',
      'memory',
      'compute',
      'compute',
    ])
    expect(crossings.javascriptUpTo).toBe(2)
    expect(crossings.computeFrom).toBe(5)
    expect(computeCrossing(model, { ...limits, bytesPerSecond: 2e9 })).toBe(2.5)
  })

  it('compares kernels with the limits', () => {
    // Twice as long as reading takes, and ten times as long as computing.
    const { decoding, prompting } = summarise(
      traceOf([
        { batch: 1, javascript: 0, kernels: 4 },
        { batch: 0, javascript: 0, kernels: 40, numPrefillTokens: 100 },
      ]),
      model,
      limits,
    )
    expect(decoding).toMatchObject({ numSteps: 1, shareOfBytes: 0.5, shareOfFlops: 0.1, shareOfBound: 0.5 })
    expect(prompting).toMatchObject({ numSteps: 1, shareOfFlops: 0.5, shareOfBound: 0.5 })
  })

  it('counts garbage collection only where kernels wait for it', () => {
    // Kernels run from 2 to 6 ms.
    const spans = [
      [1, 1.5],
      [3, 5],
      [5.5, 6.25],
    ] as const
    const others = spans.map((span) => spanEvent('garbage', 'garbage collection', span))
    const { garbage } = summarise(traceOf([{ batch: 1, javascript: 4, kernels: 4 }], others), model, limits)
    expect(garbage).toBeCloseTo(750)
  })

  it('fits on a page, whatever was seen', () => {
    const steps = Array.from({ length: 200 }, (_, index): Step => ({
      batch: 1 + (index % 100),
      javascript: 1,
      kernels: 3,
    }))
    for (const trace of [traceOf(steps), traceOf([])]) {
      const lines = summaryText(summarise(trace, model, limits), header, limits).split('\n')
      expect(lines.length).toBeLessThan(60)
      expect(lines.join('\n')).not.toMatch(/NaN|Infinity|undefined/)
    }
  })
})
