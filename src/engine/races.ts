import type { FinishReason, ScheduledRequest } from '../core/request.ts'
import type { RequestId } from '../core/units.ts'

interface Heat {
  readonly open: Set<RequestId>
  numToFinish: number
}

/**
 * Samples that race: once enough of them have finished, the others end with that step (First Finish Search). Told by
 * the engine itself, so that nobody computes a token while word goes out and comes back.
 */
export class Races {
  readonly #heats = new Map<string, Heat>()

  get size(): number {
    return this.#heats.size
  }

  add({ id, race }: ScheduledRequest): void {
    if (race === undefined) return
    const heat = this.#heats.get(race.name) ?? { open: new Set(), numToFinish: race.numWinners }
    this.#heats.set(race.name, heat)
    heat.open.add(id)
  }

  /** Who has lost now that this one ended. */
  finish({ id, race }: ScheduledRequest, reason: FinishReason): readonly RequestId[] {
    const heat = race === undefined ? undefined : this.#heats.get(race.name)
    if (race === undefined || heat === undefined) return []
    heat.open.delete(id)
    if (reason === 'stop' || reason === 'length') heat.numToFinish -= 1
    if (heat.open.size === 0) this.#heats.delete(race.name)
    return heat.numToFinish === 0 ? [...heat.open] : []
  }
}
