/**
 * Which requests may be in the engine together, given the crashes so far. It decides; sending is somebody else's.
 *
 * A crash is a strike against every request that was in the engine's steps. Who gets far enough after a crash is
 * cleared of it. Who has two strikes is a suspect: suspects run one at a time while everybody else is held back, and
 * a suspect that crashes the engine while nobody else is in it is the culprit. Who is cleared runs on beside the next
 * suspect, so a culprit may crash the engine twice more before it is found; nobody pays for being in its batch.
 */
import type { RequestId } from '../core/units.ts'

const suspectStrikes = 2
/** Tokens after which a request has left the crash behind; four times as many with each time it was a suspect. */
const clearingTokens = 16

interface Conduct {
  isInEngine: boolean
  /** Has been part of a step since it was last released. */
  hasStarted: boolean
  /** Since it was last released. */
  numTokens: number
  strikes: number
  numTimesCleared: number
}

/** Who is behind a crash. */
export interface CrashVerdict {
  /** To be failed; no longer known here. */
  readonly culprits: readonly RequestId[]
  /** Whether any request can have caused it. */
  readonly hadSuspects: boolean
}

export class Quarantine {
  readonly #conducts = new Map<RequestId, Conduct>()
  /** In order of arrival. */
  readonly #held = new Set<RequestId>()
  readonly #suspects = new Set<RequestId>()

  get size(): number {
    return this.#conducts.size
  }

  add(id: RequestId): void {
    const conduct = { isInEngine: false, hasStarted: false, numTokens: 0, strikes: 0, numTimesCleared: 0 }
    this.#conducts.set(id, conduct)
    this.#held.add(id)
  }

  isInEngine(id: RequestId): boolean {
    return this.#conducts.get(id)?.isInEngine ?? false
  }

  /** It ended, however that was. */
  remove(id: RequestId): void {
    const conduct = this.#conducts.get(id)
    if (conduct === undefined) return
    this.#conducts.delete(id)
    this.#held.delete(id)
    this.#suspects.delete(id)
  }

  noteStarted(id: RequestId): void {
    const conduct = this.#conducts.get(id)
    if (conduct !== undefined) conduct.hasStarted = true
  }

  noteTokens(id: RequestId, numTokens: number): void {
    const conduct = this.#conducts.get(id)
    if (conduct === undefined) return
    conduct.numTokens += numTokens
    if (conduct.strikes === 0 || conduct.numTokens < clearingTokens * 4 ** conduct.numTimesCleared) return
    conduct.strikes = 0
    if (this.#suspects.delete(id)) conduct.numTimesCleared += 1
  }

  /** Who is to be sent to the engine now, in order of arrival; they count as being in it from here on. */
  release(): RequestId[] {
    const ids = this.#suspects.size === 0 ? [...this.#held] : this.#nextSuspect()
    for (const id of ids) {
      this.#held.delete(id)
      this.#conducts.get(id)!.isInEngine = true
    }
    return ids
  }

  /** The engine died: all that were in it are held again, but for the culprits. */
  crash(): CrashVerdict {
    const inEngine = [...this.#conducts].filter(([, { isInEngine }]) => isInEngine)
    const started = inEngine.filter(([, { hasStarted }]) => hasStarted)
    // The word of who started may have died with the engine.
    const accused = started.length > 0 ? started : inEngine
    for (const [id, conduct] of accused) {
      conduct.strikes += 1
      if (conduct.strikes >= suspectStrikes) this.#suspects.add(id)
    }
    const culprits =
      inEngine.length === 1 ? accused.map(([id]) => id).filter((id) => this.#suspects.has(id)) : []
    for (const id of culprits) this.remove(id)
    this.#holdAll()
    return { culprits, hadSuspects: accused.length > 0 }
  }

  /** One suspect at a time. */
  #nextSuspect(): RequestId[] {
    const suspects = [...this.#suspects]
    if (suspects.some((id) => this.isInEngine(id))) return []
    return suspects.slice(0, 1)
  }

  #holdAll(): void {
    this.#held.clear()
    for (const [id, conduct] of this.#conducts) {
      conduct.isInEngine = false
      conduct.hasStarted = false
      conduct.numTokens = 0
      this.#held.add(id)
    }
  }
}
