import { micros, type Micros } from '../../src/core/units.ts'
import type { SchedulingPolicy } from '../../src/scheduler/policy.ts'
import { runVirtually, type VirtualConfig, type VirtualRequest } from './virtual-run.ts'

export interface VirtualProgram {
  readonly at: Micros
  /** Between the end of a turn and the next one. */
  readonly gap: Micros
  readonly numTurns: number
  /** Of each turn. */
  readonly numPrompt: number
  readonly numOutput: number
  /** From its start to its deadline. */
  readonly budget: Micros | undefined
}

/** Serves programs turn after turn; when each of them ended. */
export function runPrograms(
  policy: SchedulingPolicy,
  programs: readonly VirtualProgram[],
  config: VirtualConfig = {},
): readonly { readonly finishedAt: Micros }[] {
  const turns = programs.map(() => 0)
  const ends: { finishedAt: Micros }[] = []
  const turnOf = (index: number, at: Micros): VirtualRequest => {
    const { at: programStartedAt, numPrompt, numOutput, numTurns, budget } = programs[index]!
    const stagesLeft = numTurns - 1 - turns[index]!++
    const deadline = budget === undefined ? undefined : micros(programStartedAt + budget)
    return { at, numPrompt, numOutput, program: `${index}`, programStartedAt, stagesLeft, deadline }
  }
  runVirtually(
    policy,
    programs.map(({ at }, index) => turnOf(index, at)),
    {
      ...config,
      followUp({ request, finishedAt }) {
        const index = Number(request.program)
        const { numTurns, gap } = programs[index]!
        if (turns[index]! < numTurns) return turnOf(index, micros(finishedAt + gap))
        ends[index] = { finishedAt }
        return undefined
      },
    },
  )
  return ends
}
