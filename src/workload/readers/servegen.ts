/**
 * ServeGen's client statistics (Xiang et al. 2025, github.com/alibaba/ServeGen): for each client and window of time a
 * rate, a gap distribution, and, in a second file, how long prompts and answers are. Requests are drawn from them.
 */
import { RandomStream } from '../../core/random.ts'
import { micros } from '../../core/units.ts'
import { ContentIds } from '../content.ts'
import { gamma, gammaFunction, weibull, WeightedChoice } from '../distributions.ts'
import type { WorkloadRequest } from '../workload.ts'
import { amount, CsvRows, isObject, parseObject, type Row } from './fields.ts'
import {
  fault,
  nothing,
  type ReaderOptions,
  type ReadResult,
  type RecordReader,
  type TraceFormat,
} from './trace-format.ts'

const columns = ['client_id', 'window_start_s', 'rate_rps', 'cv', 'pattern', 'param1']

export const servegen: TraceFormat = {
  about: 'ServeGen client statistics: requests drawn from rates, burstiness and lengths of each client.',
  framing: 'lines',
  order: 'none',
  matches: (_, head) => head.includes('client_id,window_start_s'),
  open: (options) => new ServegenReader(options),
  companion: (fileName) => fileName.replace('.clients.', '.datasets.').replace('.csv', '.jsonl'),
}

/** Windows of the rates, and of the lengths. */
const rateWindowSeconds = 600
const lengthWindowSeconds = 21_600
/** Drawn when no end is given: days of hundreds of clients do not fit into memory. */
const defaultSeconds = 3600
const blockSize = 512

interface Lengths {
  readonly prompts: Histogram
  readonly outputs: Histogram
}

class ServegenReader implements RecordReader {
  readonly blockSize: number = blockSize
  readonly #from: number
  readonly #to: number
  readonly #random: RandomStream
  readonly #rows = new CsvRows(columns)
  readonly #ids = new ContentIds()
  /** By client and start of the window. */
  readonly #lengths = new Map<string, Lengths>()

  constructor({ seed, fromSeconds, toSeconds }: ReaderOptions) {
    this.#random = new RandomStream(seed).split(4)
    this.#from = fromSeconds
    this.#to = toSeconds ?? fromSeconds + defaultSeconds
  }

  readCompanion(record: string): string | undefined {
    if (record.trim() === '') return undefined
    const value = parseObject(record)
    if (typeof value === 'string') return value
    if (amount(value.client_id) === undefined || !isObject(value.windows))
      return 'no "client_id" or no "windows"'
    for (const [start, window] of Object.entries(value.windows)) {
      const at = Number(start)
      if (at >= this.#to || at + lengthWindowSeconds <= this.#from || !isObject(window)) continue
      const prompts = parseHistogram(window.input_tokens)
      const outputs = parseHistogram(window.output_tokens)
      if (prompts !== undefined && outputs !== undefined) {
        this.#lengths.set(`${String(value.client_id)} ${at}`, { prompts, outputs })
      }
    }
    return undefined
  }

  read(record: string): ReadResult {
    const row = this.#rows.read(record)
    if (row === undefined) return nothing
    if (typeof row === 'string') return fault(row)
    const start = amount(row.get('window_start_s'))
    const rate = amount(row.get('rate_rps'))
    if (start === undefined || rate === undefined) return fault('a window without start or rate')
    if (rate === 0 || start >= this.#to || start + rateWindowSeconds <= this.#from) return nothing
    const gap = gapDistribution(row, rate)
    if (typeof gap === 'string') return fault(gap)
    const client = row.get('client_id')!
    const lengths = this.#lengths.get(
      `${client} ${Math.floor(start / lengthWindowSeconds) * lengthWindowSeconds}`,
    )
    if (lengths === undefined) return fault(`client ${client} has no lengths at ${start} s`)
    const random = this.#random.split(Number(client) * 100_000 + start / rateWindowSeconds)
    return { requests: this.#draw(`client-${client}`, { start, gap, lengths, random }) }
  }

  #draw(
    tenant: string,
    client: {
      readonly start: number
      readonly gap: (random: RandomStream) => number
      readonly lengths: Lengths
      readonly random: RandomStream
    },
  ): WorkloadRequest[] {
    const { start, gap, lengths, random } = client
    const requests: WorkloadRequest[] = []
    const end = Math.min(start + rateWindowSeconds, this.#to)
    // The window cuts into a gap that has been going on.
    for (let at = start + gap(random) * random.next(); at < end; at += gap(random)) {
      const numPromptTokens = lengths.prompts.draw(random)
      const numOutputTokens = lengths.outputs.draw(random)
      if (at < this.#from) continue
      requests.push({
        arrival: micros(at * 1_000_000),
        tenant,
        program: undefined,
        turn: 0,
        gap: micros(0),
        gapKind: undefined,
        numPromptTokens,
        numOutputTokens,
        blocks: this.#ids.take(Math.ceil(numPromptTokens / blockSize)),
        serviceClass: 'default',
      })
    }
    return requests
  }
}

/** Seconds between two requests: the fitted shape, scaled so that the mean is that of the window's rate. */
function gapDistribution(row: Row, rate: number): ((random: RandomStream) => number) | string {
  const shape = amount(row.get('param1'))
  const cv = amount(row.get('cv'))
  const pattern = row.get('pattern')
  if (shape === undefined || cv === undefined) return 'a window without burstiness'
  if (pattern === 'Gamma' && shape > 0) return (random) => gamma(random, shape) / shape / rate
  if (pattern === 'Weibull' && shape > 0.05) {
    const mean = gammaFunction(1 + 1 / shape)
    return (random) => weibull(random, shape) / mean / rate
  }
  if (pattern !== '') return `"${pattern}" with shape ${shape} is no gap distribution`
  const variation = Math.max(cv, 0.01)
  return (random) => (gamma(random, 1 / variation ** 2) * variation ** 2) / rate
}

/** Values with probabilities. */
class Histogram {
  readonly #values: Float64Array
  readonly #choice: WeightedChoice

  constructor(values: readonly number[], weights: readonly number[]) {
    this.#values = Float64Array.from(values)
    this.#choice = new WeightedChoice(weights)
  }

  draw(random: RandomStream): number {
    return Math.max(1, this.#values[this.#choice.draw(random)]!)
  }
}

/** `{224: 0.0003, 225: 0.0008}` as text; undefined when nothing is in it. */
function parseHistogram(text: unknown): Histogram | undefined {
  if (typeof text !== 'string') return undefined
  const values: number[] = []
  const weights: number[] = []
  for (const [, value, weight] of text.matchAll(/(\d+): *([\d.e+-]+)/g)) {
    values.push(Number(value))
    weights.push(Number(weight))
  }
  return weights.some((weight) => weight > 0) ? new Histogram(values, weights) : undefined
}
