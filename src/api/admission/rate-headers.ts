import type { Micros } from '../../core/units.ts'
import type { RateOf, RateState } from './admission.ts'

/** The headers by which OpenAI's clients learn what is left of their limits. */
export function rateHeaders({ requests, tokens }: RateState): Readonly<Record<string, string>> {
  return { ...headersOf('requests', requests), ...headersOf('tokens', tokens) }
}

function headersOf(what: string, rate: RateOf | undefined): Readonly<Record<string, string>> {
  if (rate === undefined) return {}
  return {
    [`x-ratelimit-limit-${what}`]: `${rate.limit}`,
    [`x-ratelimit-remaining-${what}`]: `${rate.remaining}`,
    [`x-ratelimit-reset-${what}`]: durationText(rate.reset),
  }
}

/** As OpenAI writes it: `6m0s`, `1.5s`, `20ms`. */
export function durationText(duration: Micros): string {
  const millis = Math.ceil(duration / 1000)
  if (millis < 1000) return `${millis}ms`
  const minutes = Math.floor(millis / 60_000)
  const seconds = (millis - minutes * 60_000) / 1000
  return `${minutes > 0 ? `${minutes}m` : ''}${seconds}s`
}
