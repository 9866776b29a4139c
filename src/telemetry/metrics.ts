/**
 * What /metrics shows: vLLM's names with vLLM's buckets, because routers and dashboards read those, and our own for
 * what a server in Node must show.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { EngineClient } from '../engine/engine-client.ts'
import type { EngineStats, StepPhases } from '../engine/protocol.ts'
import { addKvMetrics } from './kv-metrics.ts'
import { addSwapMetrics } from './swap-metrics.ts'

const ttftBuckets = [
  0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640,
  2560,
]
const interTokenBuckets = [
  0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80,
]
const requestBuckets = [
  0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680,
]
const iterationTokenBuckets = [1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384]
const stepBuckets = [
  0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
  0.5, 1, 5,
]

export class ServerMetrics {
  readonly registry = new Registry()
  readonly promptTokens: Counter
  readonly generationTokens: Counter
  readonly requestSuccess: Counter<'finished_reason'>
  readonly timeToFirstToken: Histogram
  readonly interTokenLatency: Histogram
  readonly requestLatency: Histogram
  readonly queueTime: Histogram
  readonly httpRequests: Counter<'endpoint' | 'status'>
  readonly #stopListening: () => void

  constructor(engine: EngineClient, modelName: string) {
    const registers = [this.registry]
    this.registry.setDefaultLabels({ model_name: modelName })
    collectDefaultMetrics({ register: this.registry })
    const counter = <Label extends string>(name: string, help: string, labelNames: Label[] = []) =>
      new Counter({ name, help, labelNames, registers })
    const histogram = <Label extends string>(
      name: string,
      help: string,
      buckets: number[],
      labelNames: Label[] = [],
    ) => new Histogram({ name, help, buckets, labelNames, registers })

    this.promptTokens = counter('vllm:prompt_tokens_total', 'Prompt tokens of finished requests.')
    this.generationTokens = counter('vllm:generation_tokens_total', 'Generated tokens.')
    this.requestSuccess = counter('vllm:request_success_total', 'Finished requests.', ['finished_reason'])
    this.timeToFirstToken = histogram(
      'vllm:time_to_first_token_seconds',
      'Arrival to first token.',
      ttftBuckets,
    )
    this.interTokenLatency = histogram(
      'vllm:inter_token_latency_seconds',
      'Between tokens.',
      interTokenBuckets,
    )
    this.requestLatency = histogram(
      'vllm:e2e_request_latency_seconds',
      'Arrival to last token.',
      requestBuckets,
    )
    this.queueTime = histogram('vllm:request_queue_time_seconds', 'Arrival to first step.', requestBuckets)
    this.httpRequests = counter('switchyard_requests_total', 'HTTP requests.', ['endpoint', 'status'])
    addKvMetrics(this.registry, engine)
    addSwapMetrics(this.registry, engine)
    this.#stopListening = this.#observeEngine(engine)
  }

  /** Ends the listening to the engine. */
  close(): void {
    this.#stopListening()
  }

  #observeEngine(engine: EngineClient): () => void {
    const registers = [this.registry]
    const gauge = (name: string, help: string, read: (stats: EngineStats) => number) =>
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(engine.stats === undefined ? 0 : read(engine.stats))
        },
      })
    gauge('vllm:num_requests_running', 'Sequences in the running batch.', ({ numRunning }) => numRunning)
    gauge('vllm:num_requests_waiting', 'Sequences that wait.', ({ numWaiting }) => numWaiting)
    gauge('vllm:kv_cache_usage_perc', 'Share of KV blocks in use, 0 to 1.', (stats) =>
      stats.numBlocks === 0 ? 0 : 1 - stats.numFreeBlocks / stats.numBlocks,
    )
    new Counter({
      name: 'vllm:num_preemptions_total',
      help: 'Preemptions.',
      registers,
      collect() {
        this.reset()
        this.inc(engine.stats?.numPreemptionsTotal ?? 0)
      },
    })
    const iterationTokens = new Histogram({
      name: 'vllm:iteration_tokens_total',
      help: 'Tokens per step.',
      buckets: iterationTokenBuckets,
      registers,
    })
    const steps = new Histogram({
      name: 'switchyard_step_seconds',
      help: 'Where a step spends its time.',
      buckets: stepBuckets,
      labelNames: ['phase'],
      registers,
    })
    const phases = (['schedule', 'build', 'compute', 'sample', 'emit'] satisfies (keyof StepPhases)[]).map(
      (phase) => ({ phase, histogram: steps.labels(phase) }),
    )
    const crashes = new Counter({
      name: 'switchyard_engine_crashes_total',
      help: 'Deaths of the engine. What it was doing goes on in another one.',
      registers,
    })
    const stopListening = [
      engine.onCrash(() => crashes.inc()),
      engine.onStep((stats) => {
        iterationTokens.observe(stats.numPrefillTokens + stats.numDecodeTokens)
        for (const { phase, histogram } of phases) histogram.observe(stats.phases[phase] / 1e6)
      }),
    ]
    return () => stopListening.forEach((stop) => stop())
  }
}
