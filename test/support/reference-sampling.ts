import { uniformAt } from '../../src/core/random.ts'
import type { SamplingParams } from '../../src/core/sampling-params.ts'
import type { LogitsRow } from '../../src/executor/executor.ts'
import { allows, type TokenMask } from '../../src/grammar/token-mask.ts'

/** The sampling rules written out over a whole row, as slowly as they read: what `src/sampling` must equal. */
export function referenceToken(
  row: LogitsRow,
  params: SamplingParams,
  promptTokens: readonly number[],
  outputTokens: readonly number[],
  mask?: TokenMask,
): number {
  const isAllowed = (id: number): boolean => mask === undefined || allows(mask, id)
  const raw = Array.from(row.full())
  const adjusted = raw.map((logit, id) =>
    isAllowed(id) ? adjust(logit, id, params, promptTokens, outputTokens) : -Infinity,
  )
  const order = raw.map((_, id) => id).sort((a, b) => descending(adjusted[a]!, adjusted[b]!) || a - b)
  if (params.temperature === 0) return order[0]!

  const best = adjusted[order[0]!]!
  const invT = 1 / params.temperature
  const weight = (logit: number, from: number): number => Math.exp((logit - from) * invT)

  let kept = order
  if (params.minP > 0) kept = kept.filter((id) => (adjusted[id]! - best) * invT >= Math.log(params.minP))
  if (params.topK > 0) kept = kept.slice(0, params.topK)
  const isLimited = params.minP > 0 || (params.topK > 0 && params.topK < raw.length)
  let total = isLimited ? sum(kept.map((id) => weight(adjusted[id]!, best))) : wholeMass()

  if (params.topP < 1) {
    const sums = runningSums(kept.map((id) => weight(adjusted[id]!, best)))
    const last = sums.findIndex((mass) => mass >= params.topP * total)
    if (last >= 0) kept = kept.slice(0, last + 1)
    total = sum(kept.map((id) => weight(adjusted[id]!, best)))
  }
  const sums = runningSums(kept.map((id) => weight(adjusted[id]!, best)))
  const uniform = uniformAt(params.seed, 0, outputTokens.length)
  const drawn = sums.findIndex((mass) => mass > uniform * total)
  if (drawn >= 0) return kept[drawn]!
  return kept[sums.findIndex((mass) => mass > uniform * sums.at(-1)!)]!

  /** The model's mass less the touched tokens' share plus their new one; summed anew when little is left. */
  function wholeMass(): number {
    const rawBest = Math.max(...raw)
    const unbounded = Math.exp(row.logSumExp(invT) - rawBest * invT)
    const modelMass = Math.min(Math.max(1, unbounded), raw.length)
    const touched = touchedTokens(params, promptTokens, outputTokens).filter((id) => id < raw.length)
    const denied = mask === undefined ? [] : mask.denied
    const exact = (): number => sum(adjusted.map((logit) => weight(logit, best)))
    if (denied === undefined) return exact()
    const changed = [...new Set([...touched, ...denied])]
    if (changed.length === 0) return modelMass
    const rest = changed.reduce((mass, id) => mass - weight(raw[id]!, rawBest), modelMass)
    if (rest < modelMass / 16) return exact()
    return (
      rest * weight(rawBest, best) + sum(touched.filter(isAllowed).map((id) => weight(adjusted[id]!, best)))
    )
  }
}

function adjust(
  logit: number,
  id: number,
  params: SamplingParams,
  promptTokens: readonly number[],
  outputTokens: readonly number[],
): number {
  const numOutputs = outputTokens.filter((token) => token === id).length
  let value = logit + (params.logitBias.get(id) ?? 0)
  if (numOutputs > 0 || promptTokens.includes(id)) {
    value = value > 0 ? value / params.repetitionPenalty : value * params.repetitionPenalty
  }
  if (numOutputs > 0) value -= numOutputs * params.frequencyPenalty + params.presencePenalty
  return Math.fround(value)
}

function touchedTokens(
  params: SamplingParams,
  promptTokens: readonly number[],
  outputTokens: readonly number[],
): number[] {
  const { repetitionPenalty, presencePenalty, frequencyPenalty } = params
  const penalises = repetitionPenalty !== 1 || presencePenalty !== 0 || frequencyPenalty !== 0
  return [
    ...new Set([
      ...params.logitBias.keys(),
      ...(repetitionPenalty === 1 ? [] : promptTokens),
      ...(penalises ? outputTokens : []),
    ]),
  ]
}

const descending = (a: number, b: number): number => (a === b ? 0 : a > b ? -1 : 1)

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0)

function runningSums(values: readonly number[]): number[] {
  let total = 0
  return values.map((value) => (total += value))
}
