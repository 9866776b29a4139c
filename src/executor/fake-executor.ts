/**
 * An executor without a model, for tests and for measuring everything around the kernels. In every slot of its pool
 * it keeps the token that a real one would keep keys and values of, and derives the next logits from what the slots
 * say: a mistake in blocks, positions or preemption changes the output, or is refused.
 */
import { existsSync } from 'node:fs'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { invariant, ServingError } from '../core/errors.ts'
import type { Extent } from '../kvcache/extent.ts'
import type { PlanEntry, StepPlan } from '../scheduler/step-plan.ts'
import type { BlockMemory, Executor, ExecutorModel, LogitsNeed, LogitsRow, StepResult } from './executor.ts'
import { fakeLogits, FakeRow } from './fake-logits.ts'

/** Plain data: it crosses to the engine's process. */
export interface FakeExecutorOptions {
  readonly vocabSize: number
  readonly maxModelLen: number
  readonly blockSize: number
  readonly numBlocks: number
  /** Probability that the end token (the last of the vocabulary) comes next. */
  readonly endProbability?: number
  /** What a step takes, and each token in it besides. Left out: nothing, but the event loop gets its turn. */
  readonly stepMicros?: number
  readonly tokenMicros?: number
  /** For tests of recovery: a step that computes this token kills the process, as a failed assertion would. */
  readonly lethalToken?: number
  /** For tests of failures: a step that computes this token rejects. */
  readonly brokenToken?: number
  /** For tests of failures: the logits after this token are not numbers. */
  readonly nanToken?: number
  /** For tests of failures: a file that must exist when the "model" is loaded. */
  readonly modelPath?: string
}

/** Elements of a hidden state: the first logits stand in for them. */
const fakeWidth = 4

/** What a slot holds that no step has written yet. */
const unwritten = -1

export class FakeExecutor implements Executor {
  readonly model: ExecutorModel
  readonly blocks: BlockMemory
  readonly #options: FakeExecutorOptions
  readonly #slots: Int32Array
  #owedMicros = 0
  #lastRows: readonly Float32Array[] = []

  /** @throws {ServingError} INVALID_MODEL */
  constructor(options: FakeExecutorOptions) {
    const { vocabSize, maxModelLen, blockSize, numBlocks, modelPath } = options
    if (modelPath !== undefined && !existsSync(modelPath)) {
      throw new ServingError('INVALID_MODEL', `${modelPath} does not exist`)
    }
    this.#options = options
    this.#slots = new Int32Array(numBlocks * blockSize).fill(unwritten)
    const kvBytesPerToken = Int32Array.BYTES_PER_ELEMENT
    const endTokenIds = [vocabSize - 1]
    this.blocks = new FakeBlocks(this.#slots, blockSize)
    this.model = {
      vocabSize,
      maxModelLen,
      blockSize,
      numBlocks,
      kvBytesPerToken,
      endTokenIds,
      embeddingLength: fakeWidth,
    }
  }

  async execute(plan: StepPlan, needs: readonly LogitsNeed[]): Promise<StepResult> {
    invariant(needs.length === plan.entries.length, 'one need for each entry')
    const startedAt = performance.now()
    for (const row of this.#lastRows) row.fill(Number.NaN)
    this.#copy(plan)
    this.#write(plan)
    const logits = plan.entries.map((entry, index) =>
      entry.samples && needs[index]?.kind !== 'states' ? this.#logitsOf(entry) : undefined,
    )
    this.#lastRows = logits.filter((row) => row !== undefined)
    const builtAt = performance.now()
    await this.#pass(plan.numTokens)
    return {
      rows: logits.map((row, index) => toRow(row, needs[index])),
      states: plan.entries.map((entry, index) => this.#statesOf(entry, needs[index])),
      buildMicros: Math.round((builtAt - startedAt) * 1000),
      computeMicros: Math.round((performance.now() - builtAt) * 1000),
    }
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  #copy({ copies, step }: StepPlan): void {
    const { blockSize, numBlocks } = this.model
    const sources = new Set(copies.map(({ from }) => from))
    const targets = new Set(copies.map(({ to }) => to))
    invariant(targets.size === copies.length, `a block is copied to twice in step ${step}`)
    for (const { from, to, numTokens } of copies) {
      invariant(
        Math.max(from, to) < numBlocks && numTokens <= blockSize,
        `a copy beyond the pool or its block`,
      )
      invariant(!sources.has(to), `block ${to} is copied to and from in step ${step}`)
      this.#slots.copyWithin(to * blockSize, from * blockSize, from * blockSize + numTokens)
    }
  }

  #write(plan: StepPlan): void {
    const written = new Set<number>()
    for (const entry of plan.entries) {
      const slots = this.#slotsOf(entry)
      for (const [index, token] of entry.tokens.entries()) {
        const slot = slots[entry.position + index]
        invariant(slot !== undefined, `${entry.requestId}: no slot at position ${entry.position + index}`)
        invariant(!written.has(slot), `slot ${slot} is written twice in step ${plan.step}`)
        invariant(token >= 0 && token < this.model.vocabSize, `token ${token} is not in the vocabulary`)
        written.add(slot)
        this.#slots[slot] = token
        this.#failIfAsked(token)
      }
    }
  }

  #failIfAsked(token: number): void {
    if (token === this.#options.lethalToken) process.kill(process.pid, 'SIGKILL')
    if (token === this.#options.brokenToken) throw new Error(`no kernel for token ${token}`)
  }

  /** The pool's slots of the sequence, in token order, up to the last token of this step. */
  #slotsOf({ requestId, extents, position, tokens }: PlanEntry): number[] {
    const { blockSize, numBlocks } = this.model
    const slots: number[] = []
    for (const { start, length } of extents) {
      invariant(start >= 0 && start + length <= numBlocks, `${requestId}: extent beyond the pool`)
      const end = Math.min(
        (start + length) * blockSize,
        start * blockSize + position + tokens.length - slots.length,
      )
      for (let slot = start * blockSize; slot < end; slot++) slots.push(slot)
    }
    return slots
  }

  #statesOf(entry: PlanEntry, need: LogitsNeed | undefined): Float32Array | undefined {
    if (need?.kind !== 'states') return undefined
    const { tokens } = entry
    const wanted =
      need.of === 'all' ? tokens.map((_, index) => index) : [need.of === 'first' ? 0 : tokens.length - 1]
    const rows = wanted.map((index) => {
      const upTo = { ...entry, tokens: tokens.slice(0, index + 1) }
      return this.#logitsOf(upTo).subarray(0, fakeWidth)
    })
    return Float32Array.from(rows.flatMap((row) => [...row]))
  }

  /** From the tokens that the pool holds, and their order. */
  #logitsOf(entry: PlanEntry): Float32Array {
    let hash = 17
    for (const slot of this.#slotsOf(entry)) {
      const token = this.#slots[slot] ?? unwritten
      invariant(token !== unwritten, `${entry.requestId}: slot ${slot} is read before it is written`)
      hash = Math.imul(hash ^ token, 0x01000193)
      hash ^= hash >>> 15
    }
    const { vocabSize, endProbability = 0, nanToken } = this.#options
    if (nanToken !== undefined && entry.tokens.at(-1) === nanToken) {
      return new Float32Array(vocabSize).fill(Number.NaN)
    }
    return fakeLogits(hash >>> 0, vocabSize, endProbability)
  }

  /** Timers count in milliseconds: shorter steps add up until they owe one. */
  async #pass(numTokens: number): Promise<void> {
    const { stepMicros = 0, tokenMicros = 0 } = this.#options
    this.#owedMicros += stepMicros + tokenMicros * numTokens
    if (this.#owedMicros < 1000) {
      await setImmediate()
      return
    }
    const startedAt = performance.now()
    await setTimeout(Math.floor(this.#owedMicros / 1000))
    this.#owedMicros -= (performance.now() - startedAt) * 1000
  }
}

/** Moves blocks as slowly as a turn of the event loop, and leaves those that come in unwritten before. */
class FakeBlocks implements BlockMemory {
  readonly bytesPerBlock: number
  readonly #slots: Int32Array

  constructor(slots: Int32Array, blockSize: number) {
    this.#slots = slots
    this.bytesPerBlock = blockSize * Int32Array.BYTES_PER_ELEMENT
  }

  async read(extents: readonly Extent[], bytes: Uint8Array): Promise<void> {
    await setImmediate()
    let at = 0
    for (const part of this.#partsOf(extents)) {
      bytes.set(part, at)
      at += part.length
    }
  }

  async write(extents: readonly Extent[], bytes: Uint8Array): Promise<void> {
    for (const part of this.#partsOf(extents)) part.fill(0xff)
    await setImmediate()
    let at = 0
    for (const part of this.#partsOf(extents)) {
      part.set(bytes.subarray(at, at + part.length))
      at += part.length
    }
  }

  #partsOf(extents: readonly Extent[]): Uint8Array[] {
    const bytes = new Uint8Array(this.#slots.buffer)
    return extents.map(({ start, length }) =>
      bytes.subarray(start * this.bytesPerBlock, (start + length) * this.bytesPerBlock),
    )
  }
}

function toRow(logits: Float32Array | undefined, need: LogitsNeed | undefined): LogitsRow | undefined {
  if (logits === undefined) return undefined
  invariant(need !== undefined && need.kind !== 'none', 'an entry samples without need of a row')
  return new FakeRow(logits, need.kind === 'argmax' ? 1 : 64)
}
