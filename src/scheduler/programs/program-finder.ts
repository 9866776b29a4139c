import { wordsPerKey } from '../../kvcache/prefix-hasher.ts'
import type { PrefixKeys } from '../../kvcache/prefix-keys.ts'
import type { TokenList } from '../../core/token-list.ts'
import type { Micros } from '../../core/units.ts'
import type { SequenceView } from '../sequence.ts'

export interface FoundProgram {
  readonly program: string
  readonly programStartedAt: Micros
}

/** Where a finished sequence ended. */
interface Ending extends FoundProgram {
  readonly tenant: string
  /** The key of its last full block. */
  readonly words: Int32Array
  /** Its tokens behind that block but the last one, which may be an end token that no history repeats. */
  readonly rest: readonly number[]
  /** A part of its answer is in full blocks: whoever has those has its history. */
  readonly isAnswered: boolean
}

/** Of endings behind one block; of blocks that something ended behind. */
const mostEndings = 16
const mostBlocks = 4096

/**
 * Knows requests that go on where a finished one ended: their prompt begins with its prompt and with its answer, or
 * the beginning of that which is in full blocks. They belong to the same program though nobody says so. Within one
 * tenant, and one namespace of the prefix cache; as many as the last few thousand.
 */
export class ProgramFinder {
  readonly #blockSize: number
  readonly #endings = new Map<number, Ending[]>()
  #numNamed = 0

  constructor(blockSize: number) {
    this.#blockSize = blockSize
  }

  get size(): number {
    return this.#endings.size
  }

  /** The program of the longest history that this prompt continues. */
  find(tenant: string, keys: PrefixKeys, numPromptTokens: number): FoundProgram | undefined {
    for (let block = Math.floor(numPromptTokens / this.#blockSize) - 1; block >= -1; block -= 1) {
      const at = keys.offsetOf(block)
      const endings = this.#endings.get(indexOf(keys.words, at))
      if (endings === undefined) continue
      const start = (block + 1) * this.#blockSize
      const found = endings.findLast(
        (ending) =>
          ending.tenant === tenant &&
          ending.words.every((word, index) => word === keys.words[at + index]) &&
          (ending.isAnswered || continues(keys.tokens, start, numPromptTokens, ending.rest)),
      )
      if (found !== undefined) return found
    }
    return undefined
  }

  /** A sequence has ended as it should. Returns what its program is called, which is new if it had none. */
  note(sequence: SequenceView): string | undefined {
    const { keys, tokens, request } = sequence
    if (keys === undefined || sequence.numOutputTokens === 0) return request.program
    const numFull = Math.floor((tokens.length - 1) / this.#blockSize)
    const at = keys.offsetOf(numFull - 1)
    const program = request.program ?? `continued ${++this.#numNamed}`
    const ending: Ending = {
      tenant: request.tenant,
      program,
      programStartedAt: request.programStartedAt ?? request.arrivedAt,
      words: keys.words.slice(at, at + wordsPerKey),
      rest: tokens.slice(numFull * this.#blockSize, -1),
      isAnswered: numFull * this.#blockSize > sequence.numPromptTokens,
    }
    this.#add(indexOf(ending.words, 0), ending)
    return program
  }

  #add(index: number, ending: Ending): void {
    const endings = this.#endings.get(index) ?? []
    this.#endings.delete(index)
    this.#endings.set(index, endings)
    if (endings.length === mostEndings) endings.shift()
    endings.push(ending)
    if (this.#endings.size > mostBlocks) this.#endings.delete(this.#endings.keys().next().value!)
  }
}

/** 31 of a key's 128 bits: a small integer is found quickest. */
const indexOf = (words: Int32Array, at: number): number => words[at]! >> 1

/** `tokens[start ... end)` begins with `rest` and goes on. */
function continues(tokens: TokenList, start: number, end: number, rest: readonly number[]): boolean {
  if (end - start <= rest.length) return false
  return rest.every((token, index) => tokens.at(start + index) === token)
}
