/** A trace as it was written, read back into steps. Pure. */
import { ServingError } from '../core/errors.ts'
import type { KernelTime, ProfiledWork, ProfileHeader } from './step-times.ts'
import { headerName, tracks, waitNames, type TraceEvent } from './trace-events.ts'

/** Microseconds. */
export interface Span {
  readonly from: number
  readonly to: number
}

export const hostParts = ['schedule', 'build', 'read', 'sample'] as const
export type HostPart = (typeof hostParts)[number]

export interface TracedStep extends Span {
  readonly work: ProfiledWork
  /** JavaScript between kernels, by part. */
  readonly host: Readonly<Partial<Record<HostPart, Span | undefined>>>
  /** JavaScript while kernels run. */
  readonly emit: Span | undefined
  readonly kernels: readonly KernelTime[]
}

export interface Trace {
  readonly header: ProfileHeader
  readonly steps: readonly TracedStep[]
  readonly idle: readonly Span[]
  readonly blockWaits: readonly Span[]
  readonly collections: readonly Span[]
}

/** @throws {ServingError} INVALID_CONFIG when it is no trace of a profile. */
export function readTrace(text: string, name: string): Trace {
  const [first, ...events] = parseEvents(text, name)
  if (first?.name !== headerName) refuse(name, 'it does not begin as profiles do')
  const steps: { readonly event: TraceEvent; readonly parts: TraceEvent[] }[] = []
  const others: Record<'idle' | 'blocks' | 'garbage', Span[]> = { idle: [], blocks: [], garbage: [] }
  for (const event of events) {
    if (event.ph !== 'X') continue
    if (event.tid === tracks.steps) {
      steps.push({ event, parts: [] })
    } else if (event.tid === tracks.waits) {
      others[event.name === waitNames.idle ? 'idle' : 'blocks'].push(spanOf(event))
    } else if (event.tid === tracks.garbage) others.garbage.push(spanOf(event))
    else steps.at(-1)?.parts.push(event)
  }
  const { idle, blocks, garbage } = others
  const header = first.args as ProfileHeader
  return { header, steps: steps.map(stepOf), idle, blockWaits: blocks, collections: garbage }
}

function stepOf({ event, parts }: { readonly event: TraceEvent; readonly parts: TraceEvent[] }): TracedStep {
  const find = (name: string): Span | undefined => {
    const found = parts.find((part) => part.tid === tracks.javascript && part.name === name)
    return found && spanOf(found)
  }
  const kernels = parts.filter(({ tid }) => tid === tracks.kernels)
  return {
    ...spanOf(event),
    work: event.args as ProfiledWork,
    host: Object.fromEntries(hostParts.map((part) => [part, find(part)])),
    emit: find('emit'),
    kernels: kernels.map(({ name, dur = 0 }) => ({ name, micros: dur })),
  }
}

const spanOf = ({ ts = 0, dur = 0 }: TraceEvent): Span => ({ from: ts, to: ts + dur })

function parseEvents(text: string, name: string): TraceEvent[] {
  const isWhole = text.trimEnd().endsWith(']')
  // A writer that was killed left its last line as it was.
  const lines = isWhole ? text : `${text.slice(0, text.lastIndexOf('},\n') + 1)}\n]`
  try {
    return JSON.parse(lines) as TraceEvent[]
  } catch (cause) {
    return refuse(name, String(cause))
  }
}

function refuse(name: string, why: string): never {
  throw new ServingError('INVALID_CONFIG', `${name} is no profile: ${why}.`)
}
