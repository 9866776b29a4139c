/**
 * Where a text stands in a grammar. An automaton has many states at once, each with the rules it came through; such a
 * set is made once and kept, with the sets that follow it by each byte: a deterministic automaton that is built as far
 * as texts need it.
 */
import type { Automaton } from './automaton.ts'
import { byteClasses } from './byte-classes.ts'
import { grammarError } from './grammar-error.ts'
import type { TokenMask } from './token-mask.ts'

/** One of finitely or infinitely many sets. Compare by identity: there are no two of the same within a while. */
export interface MatcherState {
  /** A text may end here. */
  readonly isComplete: boolean
  readonly threads: readonly Thread[]
  /** By class of byte; undefined: not known yet. */
  readonly next: (MatcherState | null | undefined)[]
  /** Which tokens may follow, once somebody has asked. */
  mask: TokenMask | undefined
}

interface Thread {
  readonly state: number
  readonly stack: Stack | undefined
}

/** Where to go on when a rule ends. Equal stacks are the same object. */
interface Stack {
  readonly id: number
  readonly state: number
  readonly below: Stack | undefined
}

interface ClassEdge {
  readonly from: number
  readonly to: number
  readonly target: number
}

/** Threads of one set, and states looked at for it: only a very ambiguous grammar has more. */
const maxThreads = 1000
const maxVisits = 20_000
/** References to following sets that are kept; with more, all are forgotten and made again as needed. */
const maxKeptEdges = 2_000_000

export class StateSpace {
  readonly start: MatcherState
  /** Class of each byte: bytes that no edge tells apart share one. */
  readonly classOf: Uint8Array
  /** How much was done to find sets, in threads looked at: it only grows. */
  work = 0
  readonly #automaton: Automaton
  readonly #numClasses: number
  readonly #edges: readonly (readonly ClassEdge[])[]
  /** The state is the end of its rule, or has nowhere to go but there. */
  readonly #isEnd: readonly boolean[]
  readonly #leadsToEndOnly: readonly boolean[]
  readonly #known = new Map<string, MatcherState>()
  readonly #stacks = new Map<number, Stack>()
  #numStacks = 0

  constructor(automaton: Automaton) {
    this.#automaton = automaton
    const { states, rules, root } = automaton
    const { classOf, numClasses } = byteClasses(automaton)
    this.classOf = classOf
    this.#numClasses = numClasses
    this.#edges = states.map(({ bytes }) =>
      bytes.map(({ from, to, target }) => ({ from: classOf[from]!, to: classOf[to]!, target })),
    )
    const ends = new Set(rules.map(({ end }) => end))
    this.#isEnd = states.map((_, state) => ends.has(state))
    this.#leadsToEndOnly = states.map(
      ({ bytes, also, calls }, state) =>
        ends.has(state) ||
        (bytes.length === 0 && calls.length === 0 && also.length === 1 && ends.has(also[0]!)),
    )
    this.start = this.#close([{ state: rules[root]!.start, stack: undefined }])!
  }

  get numKept(): number {
    return this.#known.size
  }

  /** The set behind a byte of this class; null when none may follow. @throws {ServingError} INVALID_REQUEST. */
  step(from: MatcherState, byteClass: number): MatcherState | null {
    const known = from.next[byteClass]
    if (known !== undefined) return known
    const reached: Thread[] = []
    for (const { state, stack } of from.threads) {
      for (const edge of this.#edges[state]!) {
        if (byteClass >= edge.from && byteClass <= edge.to) reached.push({ state: edge.target, stack })
      }
    }
    const next = this.#close(reached)
    from.next[byteClass] = next
    return next
  }

  /** All states that are reached without a byte. */
  #close(initial: readonly Thread[]): MatcherState | null {
    const { states, rules } = this.#automaton
    const seen = new Set<number>()
    const threads: Thread[] = []
    const found: Thread[] = []
    let isComplete = false
    const add = (state: number, stack: Stack | undefined): void => {
      const key = (stack?.id ?? 0) * states.length + state
      if (seen.has(key)) return
      seen.add(key)
      threads.push({ state, stack })
    }
    for (const { state, stack } of initial) add(state, stack)
    for (let thread = threads.pop(); thread !== undefined; thread = threads.pop()) {
      const { state, stack } = thread
      this.work += 1
      if (seen.size > maxVisits) throw grammarError('it can be read in too many ways')
      if (this.#isEnd[state]) {
        if (stack === undefined) isComplete = true
        else add(stack.state, stack.below)
      }
      if (this.#edges[state]!.length > 0) found.push(thread)
      const { also, calls } = states[state]!
      for (const target of also) add(target, stack)
      for (const { rule, target } of calls) add(rules[rule]!.start, this.#push(target, stack))
    }
    if (found.length > maxThreads) throw grammarError('it can be read in too many ways')
    return found.length === 0 && !isComplete ? null : this.#intern(found, isComplete)
  }

  /** A call in the last place of a rule leaves nothing to come back to. */
  #push(state: number, below: Stack | undefined): Stack | undefined {
    if (this.#leadsToEndOnly[state]) return below
    const key = (below?.id ?? 0) * this.#automaton.states.length + state
    let stack = this.#stacks.get(key)
    if (stack === undefined) {
      this.#numStacks += 1
      stack = { id: this.#numStacks, state, below }
      this.#stacks.set(key, stack)
    }
    return stack
  }

  #intern(threads: Thread[], isComplete: boolean): MatcherState {
    const { length } = this.#automaton.states
    const keys = threads
      .map(({ state, stack }) => (stack?.id ?? 0) * length + state)
      .toSorted((a, b) => a - b)
    const key = `${isComplete ? 'c' : ''}${keys.join()}`
    let found = this.#known.get(key)
    if (found === undefined) {
      if ((this.#known.size + 1) * this.#numClasses > maxKeptEdges) this.#forget()
      const next = Array.from({ length: this.#numClasses }, () => undefined)
      found = { isComplete, threads, next, mask: undefined }
      this.#known.set(key, found)
    }
    return found
  }

  /** Sets that matchers still hold stay as they are, but let go of those that follow. */
  #forget(): void {
    for (const state of this.#known.values()) {
      state.next.fill(undefined)
      state.mask = undefined
    }
    this.#known.clear()
    this.#stacks.clear()
  }
}
