import { Ajv2020 } from 'ajv/dist/2020.js'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { begins, byteEngine, byteVocabulary, matches } from '../../../test/support/grammar-walk.ts'
import type { GrammarSpec } from '../../core/grammar-spec.ts'
import { uniformAt } from '../../core/random.ts'
import { partsOf, type OutputEvent } from './events.ts'
import { toolFamilies, type ToolFamilyName } from './families/index.ts'
import { freeGrammar } from './free-calls.ts'
import { createOutputParser } from './output-parser.ts'

const schema = {
  type: 'object',
  properties: { city: { enum: ['Oslo', 'Bergen'] }, days: { type: 'integer', minimum: 1, maximum: 9 } },
  required: ['city'],
}
const validates = new Ajv2020().compile(schema)
const tools = [
  { name: 'find', arguments: { kind: 'jsonSchema', schema } as const },
  { name: 'say', arguments: { kind: 'jsonObject' } as const },
]
const grammarOf = (name: ToolFamilyName, isOneCall = false): GrammarSpec =>
  freeGrammar(toolFamilies[name].shape, tools, { isOneCall })

function eventsOf(name: ToolFamilyName, text: string): readonly OutputEvent[] {
  const syntax = toolFamilies[name].syntax(new Set(['find', 'say']))
  const parser = createOutputParser({ calls: { syntax, newId: () => 'id' } })
  return [...parser.feed(text), ...parser.finish()].filter((event) => event.kind !== 'markup')
}

const pieces = [
  ...['<tool_call>', '</tool_call>', '[TOOL_CALLS]', '<|python_tag|>', '<tool_', '[TOOL', '```json', '``'],
  ...['{"name":', ' "find", ', ' "say", ', '"arguments":', '"parameters":', ' {"city": "Oslo"}', ' {}', '}'],
  ...['{', '[', ']', ';', '\n', ' ', 'Hm.', '"', ', ', '{"name": "find", "arguments": {"city": 1}}'],
]

/** A text that the grammar takes, of pieces that look like calls where it lets them stand. */
function textOf(spec: GrammarSpec, seed: number): { readonly text: string; readonly isComplete: boolean } {
  const matcher = byteEngine.matcher(spec)
  const bytes: number[] = []
  const take = (id: number): boolean => {
    const isTaken = matcher.accept(id)
    if (isTaken) bytes.push(...byteVocabulary.pieces[id]!)
    return isTaken
  }
  for (let step = 0; step < 120; step += 1) {
    if (matcher.isComplete && uniformAt(seed, 1, step) < 0.05) break
    const piece = new TextEncoder().encode(pieces[Math.floor(uniformAt(seed, 2, step) * pieces.length)])
    const before = matcher.numTokens
    if ([...piece].every((byte) => matcher.accept(byte))) {
      bytes.push(...piece)
      continue
    }
    matcher.rollback(matcher.numTokens - before)
    const allowed = matcher.mask().allowed!.filter((id) => !byteVocabulary.endTokenIds.includes(id))
    if (allowed.length === 0) break
    take(allowed[Math.floor(uniformAt(seed, 3, step) * allowed.length)]!)
  }
  return { text: new TextDecoder().decode(Uint8Array.from(bytes)), isComplete: matcher.isComplete }
}

const names = Object.keys(toolFamilies) as ToolFamilyName[]

describe.each(names)('an answer of %s that may call', (name) => {
  it('has calls with arguments of their schema only, whatever else it says', () => {
    let numCalls = 0
    fc.assert(
      fc.property(fc.nat(), fc.boolean(), (seed, isOneCall) => {
        const { text, isComplete } = textOf(grammarOf(name, isOneCall), seed)
        if (!isComplete) return
        const events = eventsOf(name, text)
        for (const event of events) if (event.kind === 'call-ended') expect(event.isValid, text).toBe(true)
        const calls = partsOf(events).filter((part) => part.kind === 'call')
        numCalls += calls.length
        for (const call of calls) {
          expect(['find', 'say'], text).toContain(call.name)
          const given: unknown = JSON.parse(call.arguments)
          if (call.name === 'find') expect(validates(given), text).toBe(true)
        }
      }),
      { numRuns: 300 },
    )
    expect(numCalls).toBeGreaterThan(0)
  })

  it('may be any other text', () => {
    for (const text of ['', 'Hi', 'Two < three.', '日本\n\n{"a": 1}', ' <tool_cal', 'a [TOOL_CALLS']) {
      expect(matches(grammarOf(name), text), text).toBe(true)
    }
  })
})

describe('a call in an answer', () => {
  it('may stand behind text, before text and beside others', () => {
    const call = '<tool_call>\n{"name": "find", "arguments": {"city": "Oslo"}}\n</tool_call>'
    const hermes = grammarOf('hermes')
    for (const text of [call, `Let me see.\n${call}`, `${call}\n${call}`, `${call} and ${call} done`]) {
      expect(matches(hermes, text), text).toBe(true)
    }
    expect(matches(grammarOf('hermes', true), call)).toBe(true)
    expect(begins(grammarOf('hermes', true), `${call}\n`)).toBe(false)
    const list =
      '[TOOL_CALLS][{"name": "find", "arguments": {"city": "Oslo"}}, {"name": "say", "arguments": {}}]'
    expect(matches(grammarOf('mistral'), `Well. ${list}`)).toBe(true)
    const bare = '{"name": "find", "parameters": {"city": "Bergen", "days": 2}}'
    expect(matches(grammarOf('llama3_json'), bare)).toBe(true)
    expect(matches(grammarOf('llama3_json'), `Hm. <|python_tag|>${bare}`)).toBe(true)
  })

  it('is held to its tool from its first mark on', () => {
    for (const text of [
      '<tool_call>\nno',
      '<tool_call>\n{"name": "other"',
      '<tool_call>\n{"name": "find", "arguments": {}',
    ]) {
      expect(begins(grammarOf('hermes'), text), text).toBe(false)
    }
  })
})
