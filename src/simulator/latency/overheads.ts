/** What lies between a client and an engine, from requests that were alone. */
import type { Micros } from '../../core/units.ts'
import { nonNegativeLeastSquares } from './least-squares.ts'
import type { MeasuredLatency } from './measured.ts'
import type { FirstToken } from './samples-of-log.ts'

/** As its client saw it; milliseconds from when the client began. */
interface SeenRequest {
  readonly sentAt: number
  readonly firstTokenAt: number | undefined
  readonly promptTokens: number
}

/** `firstTokens` are those of `seen`, one after another. `startedAt`: the client's 0 on the engine's clock. */
export function fitOverheads(
  startedAt: Micros,
  seen: readonly SeenRequest[],
  firstTokens: readonly (FirstToken | undefined)[],
): Pick<MeasuredLatency, 'request' | 'answerMicros'> {
  const requests: { readonly numTokens: number; readonly micros: number }[] = []
  const answers: number[] = []
  seen.forEach(({ sentAt, firstTokenAt, promptTokens }, index) => {
    const inEngine = firstTokens[index]
    if (inEngine === undefined || firstTokenAt === undefined) return
    requests.push({
      numTokens: promptTokens,
      micros: Math.max(1, inEngine.plannedAt - startedAt - 1000 * sentAt),
    })
    answers.push(Math.max(0, startedAt + 1000 * firstTokenAt - inEngine.sampledAt))
  })
  const targets = requests.map(({ micros }) => micros)
  const [micros = 0, microsPerToken = 0] = nonNegativeLeastSquares(
    requests.map(({ numTokens }) => [1, numTokens]),
    targets,
    targets.map((target) => 1 / (target * target)),
  )
  return { request: { micros, microsPerToken }, answerMicros: Math.round(median(answers)) }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0
}
