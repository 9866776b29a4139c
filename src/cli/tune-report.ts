/** What `switchyard tune` found, in words. */
import type { Candidate } from '../simulator/tuning/search.ts'
import { changesOf } from '../simulator/tuning/search.ts'
import { gainOf, type TuneGoal } from './tune-goal.ts'

/** A result of the search on the part that it did not see. */
export interface Judged {
  readonly numTried: number
  readonly start: Candidate
  readonly found: Candidate
  /** What was found, if it is better there too; else the start. */
  readonly chosen: Candidate
  readonly isBetter: boolean
  readonly seen: { readonly start: number; readonly found: number }
  readonly heldOut: { readonly start: number | undefined; readonly found: number | undefined }
  /** Without each change; undefined where there is no figure. */
  readonly without: readonly { readonly name: string; readonly value: number | undefined }[]
}

/** One candidate on the real engine. */
export interface Verified {
  readonly candidate: Candidate
  readonly predicted: number | undefined
  readonly measured: number | undefined
}

export function describeCandidate(candidate: Candidate): string {
  const parts = Object.entries(candidate).map(([name, value]) => `--${name} ${value}`)
  return parts.length === 0 ? 'the settings as they are' : parts.join(' ')
}

export function tuneReport(goal: TuneGoal, judged: Judged): string {
  const { start, found, heldOut } = judged
  const lines = [
    `${judged.numTried} settings tried. What is made better: ${goal.about}.`,
    `as it is:                   ${show(goal, judged.seen.start)} seen, ${show(goal, heldOut.start)} held out`,
    `found:                      ${show(goal, judged.seen.found)} seen, ${show(goal, heldOut.found)} held out${gainText(goal, heldOut.found, heldOut.start)}`,
    ...changesOf(start, found).map((name) => {
      const value = judged.without.find((each) => each.name === name)?.value
      const change = `${name}: ${start[name] ?? 'default'} -> ${found[name] ?? 'default'}`
      return `  ${change.padEnd(40)} without it ${show(goal, value)} held out`
    }),
  ]
  if (!judged.isBetter && changesOf(start, found).length > 0)
    lines.push('On the part held out this is no better: the settings stay as they are.')
  return `${lines.join('\n')}\n`
}

/** Predictions beside what the real engine did, each against the first one. */
export function verifiedReport(goal: TuneGoal, verified: readonly Verified[]): string {
  const [first] = verified
  const lines = verified.map(({ candidate, predicted, measured }) => {
    const predictedGain = gainText(goal, predicted, first?.predicted)
    const measuredGain = gainText(goal, measured, first?.measured)
    return (
      `${describeCandidate(candidate)}\n` +
      `  predicted ${show(goal, predicted)}${predictedGain}; measured ${show(goal, measured)}${measuredGain}\n`
    )
  })
  return `On the real engine, the part held out:\n${lines.join('')}`
}

function show({ unit }: TuneGoal, value: number | undefined): string {
  if (value === undefined) return '-'
  const digits = Math.abs(value) >= 100 ? 0 : 3
  return `${value.toFixed(digits)}${unit === '' ? '' : ` ${unit}`}`
}

function gainText(goal: TuneGoal, value: number | undefined, than: number | undefined): string {
  if (value === undefined || than === undefined || value === than) return ''
  const gain = gainOf(goal, value, than)
  return ` (${gain < 0 ? '-' : '+'}${Math.abs(100 * gain).toFixed(1)} %)`
}
