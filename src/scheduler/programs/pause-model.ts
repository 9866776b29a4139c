import type { Micros } from '../../core/units.ts'
import { micros } from '../../core/units.ts'

/** What a program pauses for. */
export interface Pause {
  /** Name of the tool that was called; undefined when a person reads and thinks. */
  readonly tool: string | undefined
  /** Who pauses, named with its tenant. */
  readonly program: string
}

/** What keeping costs against losing, in one unit of the caller's choice, such as microseconds of computing. */
export interface PausePrices {
  /** Of keeping the KV for one microsecond: more under pressure, 0 when nobody needs the memory. */
  readonly keepPerMicro: number
  /** Of loading or computing it again once it is gone. */
  readonly restore: number
}

interface Observed {
  readonly gaps: number[]
  next: number
}

const mostGapsOfTool = 64
const mostGapsOfProgram = 8
const mostNames = 4096
/** A program's own past says more about it than that of others with the same tool; the prior fades first. */
const programWeight = 4
const toolWeight = 1
/**
 * Before anything was seen: quantiles of a log-normal with a median of 2 s for tools, spread as tool calls in agents'
 * traces are, from tenths of a second to minutes.
 */
const priorGaps: readonly number[] = [0.1, 0.35, 0.8, 2, 5, 12, 40].map((seconds) => seconds * 1e6)
const priorWeight = 0.5
/** People take ten times as long as tools. */
const thinkingFactor = 10

/**
 * How long the KV of a program that pauses is worth keeping: the time to live with the least expected cost over the
 * gaps seen, of this program and of this tool. That is always one of those gaps, a learned quantile. It is cut where
 * keeping has cost as much as restoring, so that a wrong forecast at most doubles the price (the ski-rental argument;
 * Karlin et al., 1988). Continuum introduced times to live for tool calls.
 */
export class PauseModel {
  readonly #tools = new Map<string, Observed>()
  readonly #programs = new Map<string, Observed>()

  /** A pause of this kind ended after `gap`; Infinity: it never did, for the program had ended. */
  observe({ tool, program }: Pause, gap: Micros): void {
    note(this.#tools, toolKey(tool), gap, mostGapsOfTool)
    note(this.#programs, program, gap, mostGapsOfProgram)
  }

  /** 0 when restoring is cheaper than any wait that is likely to pay. */
  timeToLive(pause: Pause, { keepPerMicro, restore }: PausePrices): Micros {
    const mostWorth = keepPerMicro > 0 ? restore / keepPerMicro : Infinity
    const gaps = this.#weightedGaps(pause)
    let best = 0
    let leastCost = restore
    for (const { gap: candidate } of gaps) {
      if (candidate > mostWorth || candidate === Infinity) break
      let cost = 0
      let weights = 0
      for (const { gap, weight } of gaps) {
        cost += weight * (gap <= candidate ? keepPerMicro * gap : keepPerMicro * candidate + restore)
        weights += weight
      }
      if (cost / weights >= leastCost) continue
      leastCost = cost / weights
      best = candidate
    }
    return micros(best)
  }

  /** The gap that `share` of such pauses do not exceed. */
  quantile(pause: Pause, share: number): Micros {
    const gaps = this.#weightedGaps(pause)
    const total = gaps.reduce((sum, { weight }) => sum + weight, 0)
    let below = 0
    for (const { gap, weight } of gaps) {
      below += weight
      if (below >= share * total) return micros(gap)
    }
    return micros(gaps.at(-1)!.gap)
  }

  /** In ascending order. */
  #weightedGaps({ tool, program }: Pause): { readonly gap: number; readonly weight: number }[] {
    const factor = tool === undefined ? thinkingFactor : 1
    const weighted = (gaps: readonly number[], weight: number) => gaps.map((gap) => ({ gap, weight }))
    return [
      ...priorGaps.map((gap) => ({ gap: gap * factor, weight: priorWeight })),
      ...weighted(this.#tools.get(toolKey(tool))?.gaps ?? [], toolWeight),
      ...weighted(this.#programs.get(program)?.gaps ?? [], programWeight),
    ].toSorted((a, b) => a.gap - b.gap)
  }
}

const toolKey = (tool: string | undefined): string => (tool === undefined ? '' : `tool ${tool}`)

/** Keeps the last `most` gaps of a name, and of too many names those seen last. */
function note(observed: Map<string, Observed>, name: string, gap: number, most: number): void {
  const known = observed.get(name) ?? { gaps: [], next: 0 }
  observed.delete(name)
  observed.set(name, known)
  if (observed.size > mostNames) observed.delete(observed.keys().next().value!)
  known.gaps[known.next] = gap
  known.next = (known.next + 1) % most
}
