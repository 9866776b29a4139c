import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createRequest } from '../../../test/support/generate.ts'
import { toSequenceId } from '../../core/units.ts'
import { KvCacheManager } from '../../kvcache/kv-cache-manager.ts'
import { Sequence } from '../sequence.ts'
import { ProgramFinder } from './program-finder.ts'

const blockSize = 4
const kv = new KvCacheManager(
  { numBlocks: 4, blockSize },
  { eviction: { name: 'none', priorityOf: () => 1 }, seed: 5 },
)

let numSequences = 0
function sequenceOf(
  promptTokens: readonly number[],
  outputTokens: readonly number[],
  tenant = 'a',
  salt = '',
) {
  const id = toSequenceId(++numSequences)
  const request = createRequest({ id: `${id}`, promptTokens, outputTokens, tenant })
  const sequence = new Sequence(id, request, 1000, new Set())
  sequence.keys = kv.createKeys(salt, sequence.tokens)
  return sequence
}
function find(finder: ProgramFinder, tokens: readonly number[], tenant?: string, salt?: string) {
  const { keys, request } = sequenceOf(tokens, [], tenant, salt)
  return finder.find(request.tenant, keys!, tokens.length)?.program
}

describe('a request that continues a finished one', () => {
  const prompt = [1, 2, 3, 4, 5, 6]
  const answer = [7, 8, 99]
  const next = [...prompt, 7, 8, 50, 51]

  it('belongs to its program, whatever its last token was', () => {
    const finder = new ProgramFinder(blockSize)
    const program = finder.note(sequenceOf(prompt, answer))
    expect(program).toBeDefined()
    expect(find(finder, next)).toBe(program)
    expect(find(finder, [...prompt, 7, 8, 99, 51])).toBe(program)
  })

  it('does not when only the prompt is the same, or the tenant or the salt is another', () => {
    const finder = new ProgramFinder(blockSize)
    finder.note(sequenceOf(prompt, answer))
    expect(find(finder, prompt)).toBeUndefined()
    expect(find(finder, [...prompt, 9, 8, 50, 51])).toBeUndefined()
    expect(find(finder, next, 'b')).toBeUndefined()
    expect(find(finder, next, 'a', 'salt')).toBeUndefined()
  })

  it('does not when it asks the same again', () => {
    const finder = new ProgramFinder(blockSize)
    finder.note(sequenceOf(prompt, [7]))
    expect(find(finder, prompt)).toBeUndefined()
  })

  it('needs no more than the full blocks of a long answer', () => {
    const finder = new ProgramFinder(blockSize)
    const program = finder.note(sequenceOf(prompt, [7, 8, 9, 10, 11]))
    expect(find(finder, [...prompt, 7, 8, 70, 71])).toBe(program)
  })

  it('goes on where the program has gone on', () => {
    const finder = new ProgramFinder(blockSize)
    finder.note(sequenceOf(prompt, answer))
    const named = sequenceOf(next, [60, 61])
    named.request = { ...named.request, program: 'told' }
    expect(finder.note(named)).toBe('told')
    expect(find(finder, [...next, 60, 70, 71])).toBe('told')
  })
})

it('finds the longest history there is, the newest of equal ones, and nothing else', () => {
  const tokens = (min: number) => fc.array(fc.integer({ min: 1, max: 2 }), { minLength: min, maxLength: 9 })
  const ended = fc.record({
    prompt: tokens(1),
    answer: tokens(1),
    tenant: fc.constantFrom('a', 'b'),
  })
  fc.assert(
    fc.property(
      fc.array(ended, { maxLength: 8 }),
      tokens(1),
      fc.constantFrom('a', 'b'),
      (list, prompt, tenant) => {
        const finder = new ProgramFinder(blockSize)
        const endings = list.map((each) => {
          const all = [...each.prompt, ...each.answer]
          const program = finder.note(sequenceOf(each.prompt, each.answer, each.tenant))
          const numFull = Math.floor((all.length - 1) / blockSize) * blockSize
          return {
            ...each,
            program,
            numFull,
            known: all.slice(0, numFull > each.prompt.length ? numFull : -1),
          }
        })
        const found = endings
          .filter(({ known, tenant: own }) => own === tenant && startsWith(prompt, known))
          // Behind full blocks that are all answered, nothing need follow.
          .filter(({ known, numFull, prompt: own }) => prompt.length > known.length || numFull > own.length)
          .reduce<(typeof endings)[number] | undefined>(
            (best, each) => (best === undefined || each.numFull >= best.numFull ? each : best),
            undefined,
          )
        expect(find(finder, prompt, tenant)).toBe(found?.program)
      },
    ),
    { numRuns: 2000 },
  )
})

it('remembers a bounded number of histories, the newest ones', () => {
  const finder = new ProgramFinder(blockSize)
  const historyOf = (index: number) => [index, index + 1, index + 2, index + 3, 5]
  for (let index = 0; index < 5000; index += 1) finder.note(sequenceOf(historyOf(10 * index), [6, 7]))
  expect(finder.size).toBeLessThan(5000)
  expect(find(finder, [...historyOf(0), 6, 8])).toBeUndefined()
  expect(find(finder, [...historyOf(49_990), 6, 8])).toBeDefined()
})

function startsWith(tokens: readonly number[], beginning: readonly number[]): boolean {
  return beginning.length <= tokens.length && beginning.every((token, index) => token === tokens[index])
}
