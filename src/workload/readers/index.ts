/** The trace formats by name. To add one: a file beside this one and a line in the table. */
import { agentSessions } from './agent-sessions.ts'
import { azure } from './azure.ts'
import { burstgpt } from './burstgpt.ts'
import { sharegpt, tauBench } from './conversations.ts'
import { mooncake, recording } from './mooncake.ts'
import { servegen } from './servegen.ts'
import type { TraceFormat } from './trace-format.ts'
import { vtcArena } from './vtc-arena.ts'

export const traceFormats = {
  mooncake,
  recording,
  azure,
  burstgpt,
  sharegpt,
  'tau-bench': tauBench,
  'agent-sessions': agentSessions,
  'vtc-arena': vtcArena,
  servegen,
} as const satisfies Record<string, TraceFormat>

export type TraceFormatName = keyof typeof traceFormats

export const traceFormatNames = Object.keys(traceFormats) as readonly TraceFormatName[]

/** The format of a file by its name and its first few thousand characters; undefined when none is sure. */
export function guessFormat(fileName: string, head: string): TraceFormatName | undefined {
  return traceFormatNames.find((name) => traceFormats[name].matches(fileName, head))
}
