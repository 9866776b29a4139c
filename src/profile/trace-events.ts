/**
 * Steps as events of Chrome's trace format (JSON array, complete events), which ui.perfetto.dev and chrome://tracing
 * show as a timeline. Pure.
 */
import type { ProfileHeader, StepTimes, WaitKind } from './step-times.ts'

/** An event of the format; instants and durations in microseconds. */
export interface TraceEvent {
  readonly ph: 'X' | 'M' | 'C'
  readonly name: string
  readonly pid: number
  readonly tid: number
  readonly ts?: number
  readonly dur?: number
  readonly args?: object
}

/** Threads of the timeline. */
export const tracks = { steps: 1, javascript: 2, kernels: 3, waits: 4, garbage: 5 } as const

type Track = keyof typeof tracks

const trackNames: Readonly<Record<Track, string>> = {
  steps: 'Steps',
  javascript: 'JavaScript',
  kernels: 'Kernels',
  waits: 'Waits',
  garbage: 'Garbage collection',
}

const pid = 1
export const headerName = 'switchyard_profile'
/** Names of waits in the timeline. */
export const waitNames: Readonly<Record<WaitKind, string>> = { idle: 'idle', blocks: 'wait for blocks' }

/** What stands before all else. */
export function headerEvents(header: ProfileHeader): TraceEvent[] {
  const names = Object.entries(trackNames).map(([track, name]): TraceEvent => ({
    ph: 'M',
    name: 'thread_name',
    pid,
    tid: tracks[track as Track],
    args: { name },
  }))
  const process: TraceEvent = { ph: 'M', name: 'process_name', pid, tid: 0, args: { name: 'Switchyard' } }
  return [{ ph: 'M', name: headerName, pid, tid: 0, args: header }, process, ...names]
}

/** A step, then its parts. */
export function stepEvents(times: StepTimes): TraceEvent[] {
  const { startedAt, scheduledAt, builtAt, computedAt, readAt, endedAt, work } = times
  const [emitFrom, emitTo] = times.emit
  return [
    spanEvent('steps', `step ${times.step}`, [startedAt, endedAt], { step: times.step, ...work }),
    spanEvent('javascript', 'schedule', [startedAt, scheduledAt]),
    spanEvent('javascript', 'build', [scheduledAt, builtAt]),
    spanEvent('javascript', 'emit', [emitFrom, emitTo]),
    ...kernelEvents(times),
    spanEvent('javascript', 'read', [computedAt, readAt]),
    spanEvent('javascript', 'sample', [readAt, endedAt]),
    {
      ph: 'C',
      name: 'tokens',
      pid,
      tid: 0,
      ts: toMicros(startedAt),
      args: { decodes: work.numDecodes, prompts: work.numPrefillTokens },
    },
  ]
}

function kernelEvents({ kernels, builtAt, computedAt }: StepTimes): TraceEvent[] {
  if (kernels.length === 0) return [spanEvent('kernels', 'all layers', [builtAt, computedAt])]
  let at = builtAt
  return kernels.map(({ name, micros }, index) => {
    const from = at
    at = index === kernels.length - 1 ? computedAt : Math.min(computedAt, from + micros / 1000)
    return spanEvent('kernels', name, [from, at])
  })
}

/** `span`: from and to in milliseconds. */
export function spanEvent(
  track: Track,
  name: string,
  [from, to]: readonly [number, number],
  args?: object,
): TraceEvent {
  const ts = toMicros(from)
  const dur = Math.max(0, Math.round((toMicros(to) - ts) * 10) / 10)
  return { ph: 'X', name, pid, tid: tracks[track], ts, dur, ...(args === undefined ? {} : { args }) }
}

/** Tenths of microseconds are what a clock tells. */
const toMicros = (milliseconds: number): number => Math.round(milliseconds * 10_000) / 10
