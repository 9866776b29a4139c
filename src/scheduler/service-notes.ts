import type { PlanEntry } from './step-plan.ts'
import type { Sequence } from './sequence.ts'
import type { Served } from './policy.ts'

type Note = { -readonly [Field in keyof Served]: Served[Field] }

/** What a policy is told of those that a step served. The same objects are used for every step. */
export class ServiceNotes {
  readonly #notes: Note[] = []

  /** Of a step in which each entry was served once, or, if all of them decoded, `numSteps` times. */
  of(sequences: readonly Sequence[], entries: readonly PlanEntry[], numSteps = 1): readonly Served[] {
    const notes = this.#notes
    notes.length = Math.min(notes.length, entries.length)
    for (let index = 0; index < entries.length; index += 1) {
      const sequence = sequences[index]!
      const { position, tokens, samples } = entries[index]!
      const numTokens = numSteps * tokens.length
      const numSamples = samples ? numSteps : 0
      const note = notes[index]
      if (note === undefined) notes.push({ sequence, position, numTokens, numSamples })
      else {
        note.sequence = sequence
        note.position = position
        note.numTokens = numTokens
        note.numSamples = numSamples
      }
    }
    return notes
  }
}
