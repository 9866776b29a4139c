import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { orderBatch, type BatchItem } from './batch-order.ts'
import { charsPerLink, promptChain } from './prompt-chain.ts'

const item = (prompt: string, outputTokens = 10): BatchItem => ({
  chain: promptChain(prompt),
  promptTokens: prompt.length / 4,
  outputTokens,
})
const page = (letter: string, numLinks: number): string => letter.repeat(numLinks * charsPerLink)
const order = (items: readonly BatchItem[]): number[] => [...orderBatch(items)]

describe('the chain of a prompt', () => {
  it('has a link for each whole stretch, equal as far as the texts are', () => {
    const [a, b] = [promptChain(page('a', 3) + 'x'), promptChain(page('a', 2) + page('b', 2))]
    expect([a.length, b.length]).toEqual([3, 4])
    expect([...a.slice(0, 2)]).toEqual([...b.slice(0, 2)])
    expect(a[2]).not.toBe(b[2])
  })

  it('differs wherever one character does', () => {
    const text = 'The quick brown fox jumps over the lazy dog. '.repeat(100)
    fc.assert(
      fc.property(fc.nat(charsPerLink * 30 - 1), fc.integer({ min: 1, max: 0xffff }), (at, change) => {
        const other =
          text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ change) + text.slice(at + 1)
        const [chain, changed] = [promptChain(text), promptChain(other)]
        const link = Math.floor(at / charsPerLink)
        expect([...changed.slice(0, link)]).toEqual([...chain.slice(0, link)])
        expect(changed[link]).not.toBe(chain[link])
        expect(changed[30]).not.toBe(chain[30])
      }),
    )
  })
})

describe('the order of a batch', () => {
  it('runs those together that begin alike, however they were shuffled', () => {
    const prompts = ['a', 'b', 'c', 'a', 'b', 'c', 'a'].map((letter) => page(letter, 4))
    expect(order(prompts.map((prompt) => item(prompt)))).toEqual([0, 3, 6, 1, 4, 2, 5])
  })

  it('puts a group first that writes more for what it reads, shared prompts counted once', () => {
    const short = item(page('a', 2), 10)
    const sharing = [item(page('b', 4), 10), item(page('b', 4), 10), item(page('b', 4), 10)]
    expect(order([short, ...sharing])).toEqual([1, 2, 3, 0])
    expect(order([item(page('a', 2), 30), ...sharing])).toEqual([0, 1, 2, 3])
  })

  it('within a group, puts decode-heavy requests first', () => {
    const common = page('a', 4)
    expect(order([item(common, 5), item(common, 50), item(common, 20)])).toEqual([1, 2, 0])
  })

  it('keeps the smaller groups within a group together', () => {
    const under = (letter: string) => item(page('a', 2) + page(letter, 2))
    expect(order([under('x'), under('y'), under('x'), under('y')])).toEqual([0, 2, 1, 3])
  })

  it('nests as deep as prompts extend one another', () => {
    const items = Array.from({ length: 1500 }, (_, depth) => item(page('a', depth), 1))
    expect(order(items).toSorted((a, b) => a - b)).toEqual([...items.keys()])
  })

  it('is a permutation in which equal beginnings are adjacent, and the same each time', () => {
    const piece = fc.constantFrom('a', 'b')
    const prompts = fc.array(fc.array(piece, { maxLength: 6 }), { maxLength: 40 })
    fc.assert(
      fc.property(prompts, fc.array(fc.nat(100), { minLength: 40, maxLength: 40 }), (letters, outputs) => {
        const texts = letters.map((each) => each.map((letter) => page(letter, 1)).join(''))
        const items = texts.map((text, index) => item(text, outputs[index]))
        const result = order(items)
        expect(order(items)).toEqual(result)
        expect(result.toSorted((a, b) => a - b)).toEqual([...items.keys()])
        for (const beginning of texts.filter((text) => text !== '')) {
          const has = result.map((index) => texts[index]!.startsWith(beginning))
          expect(has.lastIndexOf(true) - has.indexOf(true) + 1).toBe(has.filter(Boolean).length)
        }
      }),
    )
  })

  it('orders 50,000 requests of 250 groups in seconds', () => {
    const chains = Array.from({ length: 250 }, (_, group) => promptChain(page(`${group} `, 30)))
    const items = Array.from({ length: 50_000 }, (_, index) => ({
      chain: chains[(index * 7919) % 250]!,
      promptTokens: 1000,
      outputTokens: index % 100,
    }))
    const started = performance.now()
    const result = order(items)
    expect(performance.now() - started).toBeLessThan(10_000)
    const groups = result.map((index) => (index * 7919) % 250)
    expect(groups.filter((group, at) => group !== groups[at - 1])).toHaveLength(250)
  })
})
