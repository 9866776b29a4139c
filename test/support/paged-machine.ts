import type { StepPlan } from '../../src/scheduler/step-plan.ts'

const vocabSize = 97

/**
 * The KV of a model in miniature: what a slot holds depends on its token and on all tokens before it, and the next
 * token on all slots of the sequence. A wrong block, position, token or stale slot changes what comes out.
 */
export class PagedMachine {
  readonly #blockSize: number
  readonly #slots: Int32Array

  constructor(numBlocks: number, blockSize: number) {
    this.#blockSize = blockSize
    this.#slots = new Int32Array(numBlocks * blockSize)
  }

  /** What the slots of a block hold. */
  readBlock(block: number): readonly number[] {
    return [...this.#slots.subarray(block * this.#blockSize, (block + 1) * this.#blockSize)]
  }

  writeBlock(block: number, content: readonly number[]): void {
    this.#slots.set(content, block * this.#blockSize)
  }

  /** The next token of each entry that samples. */
  execute(plan: StepPlan): (number | undefined)[] {
    for (const { from, to, numTokens } of plan.copies) {
      const start = from * this.#blockSize
      this.#slots.copyWithin(to * this.#blockSize, start, start + numTokens)
    }
    const slotsOfEntries = plan.entries.map(({ extents }) =>
      extents.flatMap(({ start, length }) =>
        Array.from({ length: length * this.#blockSize }, (_, offset) => start * this.#blockSize + offset),
      ),
    )
    plan.entries.forEach(({ tokens, position }, index) => {
      const slots = slotsOfEntries[index]!
      for (const [offset, token] of tokens.entries()) {
        const at = position + offset
        const before = at === 0 ? 0 : this.#slots[slots[at - 1]!]!
        this.#slots[slots[at]!] = keyOf(before, token)
      }
    })
    return plan.entries.map(({ tokens, position, samples }, index) => {
      if (!samples) return undefined
      const slots = slotsOfEntries[index]!.slice(0, position + tokens.length)
      return tokenOf(slots.map((slot) => this.#slots[slot]!))
    })
  }
}

/** What the machine yields after `tokens` when it has nothing else to do. */
export function nextTokenAlone(tokens: readonly number[]): number {
  const keys: number[] = []
  for (const token of tokens) keys.push(keyOf(keys.at(-1) ?? 0, token))
  return tokenOf(keys)
}

function keyOf(before: number, token: number): number {
  return Math.imul(before ^ (token + 1), 0x01000193) | 0
}

function tokenOf(keys: readonly number[]): number {
  const hash = keys.reduce((sum, key) => (Math.imul(sum, 31) + key) | 0, 7)
  return (hash >>> 8) % vocabSize
}
