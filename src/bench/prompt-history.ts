import { turnKey } from '../workload/check-workload.ts'
import { continuePrompt } from '../workload/synthesize-prompt.ts'
import type { WorkloadRequest } from '../workload/workload.ts'

interface Turn {
  readonly prompt: readonly number[]
  readonly answer: readonly number[]
}

/** Puts what a server really answered into the prompts of later turns. Keeps one turn of each program under way. */
export class PromptHistory {
  readonly #isActual: boolean
  readonly #turns = new Map<string, Turn>()

  /** Without `isActual`, prompts stay what the trace made them. */
  constructor(isActual: boolean) {
    this.#isActual = isActual
  }

  extend({ program, turn, includesAnswer }: WorkloadRequest, made: readonly number[]): readonly number[] {
    if (!this.#isActual || program === undefined || turn === 0) return made
    const key = turnKey({ program, turn: turn - 1 })
    const before = this.#turns.get(key)
    this.#turns.delete(key)
    if (before === undefined || includesAnswer !== true) return made
    return continuePrompt(made, before.prompt, before.answer)
  }

  /** `answer`: the server's own tokens; empty when it did not tell them. */
  ended({ program, turn }: WorkloadRequest, prompt: readonly number[], answer: readonly number[]): void {
    if (!this.#isActual || program === undefined) return
    this.#turns.set(turnKey({ program, turn }), { prompt, answer: [...answer] })
  }
}
