import { SampleCollector } from '../metrics/sample-collector.ts'
import type { Goals, TargetFigures, TenantFigures } from './bench-report.ts'
import { meets, mismatchKinds, timePerToken } from './figures.ts'
import type { RequestRecord } from './request-record.ts'

/** So many values of each kind are summarised exactly; of each tenant's: so many. */
const mostExact = 100_000
const mostExactOfTenant = 1000

/**
 * The figures of a report while requests end one after the other, of which none is kept. Percentiles are right to within
 * a thousandth where there are very many. How evenly tenants were served is not among them: that needs all requests.
 */
export class RunningFigures {
  readonly #goals: Goals
  readonly #counts: (record: RequestRecord) => boolean
  readonly #whole = new Tally(mostExact)
  readonly #tenants = new Map<string, Tally>()
  readonly #tpot = new SampleCollector(mostExact)
  readonly #tbt = new SampleCollector(mostExact)
  readonly #errors = new Map<string, number>()
  readonly #mismatches = new Map<string, number>()
  #numExcluded = 0
  #numMet = 0
  /** Prompt tokens of which it is known how many were cached, and those. */
  #knownTokens = 0
  #cachedTokens = 0
  #from = Infinity
  #to = 0

  /** `counts`: it is no warm-up or cool-down. */
  constructor(goals: Goals, counts: (record: RequestRecord) => boolean) {
    this.#goals = goals
    this.#counts = counts
  }

  /** True when it counts: then its gaps are to be told of too. */
  add(record: RequestRecord): boolean {
    if (record.error === undefined) {
      for (const kind of mismatchKinds(record, undefined)) countOne(this.#mismatches, kind)
    }
    if (!this.#counts(record)) {
      this.#numExcluded += 1
      return false
    }
    this.#from = Math.min(this.#from, record.intendedAt)
    this.#to = Math.max(this.#to, record.endedAt)
    this.#whole.add(record)
    this.#tallyOf(record.tenant).add(record)
    if (record.error === undefined) this.#addCompleted(record)
    else countOne(this.#errors, record.error)
    return true
  }

  /** So many gaps between tokens were so long. */
  addGaps(ms: number, count: number): void {
    this.#tbt.add(ms, count)
  }

  get mismatches(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#mismatches)
  }

  get figures(): TargetFigures {
    const whole = this.#whole
    const seconds = Math.max(0, this.#to - this.#from) / 1000
    const perSecond = (count: number): number => (seconds > 0 ? count / seconds : 0)
    const hasGoals = Object.values(this.#goals).some((goal) => goal !== undefined)
    return {
      numMeasured: whole.numMeasured,
      numExcluded: this.#numExcluded,
      numFailed: whole.numFailed,
      errors: Object.fromEntries(this.#errors),
      durationSeconds: seconds,
      requestsPerSecond: perSecond(whole.numMeasured - whole.numFailed),
      promptTokensPerSecond: perSecond(whole.promptTokens),
      outputTokensPerSecond: perSecond(whole.outputTokens),
      cachedShare: this.#knownTokens === 0 ? undefined : this.#cachedTokens / this.#knownTokens,
      ttftMs: whole.ttft.summary(),
      tbtMs: this.#tbt.summary(),
      tpotMs: this.#tpot.summary(),
      e2eMs: whole.e2e.summary(),
      goodput: hasGoals
        ? {
            requestsPerSecond: perSecond(this.#numMet),
            share: this.#numMet / Math.max(1, whole.numMeasured),
          }
        : undefined,
      tenants: [...this.#tenants].map(([tenant, tally]) => tally.figuresOf(tenant)),
      fairness: undefined,
    }
  }

  #addCompleted(record: RequestRecord): void {
    const { promptTokens, cachedTokens } = record
    if (meets(record, this.#goals)) this.#numMet += 1
    const tpot = timePerToken(record)
    if (tpot !== undefined) this.#tpot.add(tpot)
    if (cachedTokens === undefined) return
    this.#knownTokens += promptTokens
    this.#cachedTokens += cachedTokens
  }

  #tallyOf(tenant: string): Tally {
    let tally = this.#tenants.get(tenant)
    if (tally === undefined) this.#tenants.set(tenant, (tally = new Tally(mostExactOfTenant)))
    return tally
  }
}

/** What is counted of all requests, and of each tenant's. */
class Tally {
  numMeasured = 0
  numFailed = 0
  promptTokens = 0
  outputTokens = 0
  readonly ttft: SampleCollector
  readonly e2e: SampleCollector

  constructor(mostExact: number) {
    this.ttft = new SampleCollector(mostExact)
    this.e2e = new SampleCollector(mostExact)
  }

  add({ error, promptTokens, outputTokens, firstTokenAt, intendedAt, endedAt }: RequestRecord): void {
    this.numMeasured += 1
    if (error !== undefined) {
      this.numFailed += 1
      return
    }
    this.promptTokens += promptTokens
    this.outputTokens += outputTokens
    this.ttft.add(firstTokenAt! - intendedAt)
    this.e2e.add(endedAt - intendedAt)
  }

  figuresOf(tenant: string): TenantFigures {
    const { numMeasured, numFailed, promptTokens, outputTokens, ttft, e2e } = this
    return {
      tenant,
      numMeasured,
      numFailed,
      promptTokens,
      outputTokens,
      ttftMs: ttft.summary(),
      e2eMs: e2e.summary(),
    }
  }
}

function countOne(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1)
}
