import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { appendEvents, partsOf, type OutputEvent, type ParsedEvent } from './events.ts'
import { toolFamilies, toolFamilyNames, type ToolFamilyName } from './families/index.ts'
import { createOutputParser } from './output-parser.ts'

interface Setup {
  readonly family?: ToolFamilyName
  /** Undefined: reasoning is not looked for. */
  readonly isThinking?: boolean
}

function parse(pieces: readonly string[], { family, isThinking }: Setup): ParsedEvent[] {
  let numIds = 0
  const syntax = family && toolFamilies[family].syntax(new Set(['add', 'find']))
  const parser = createOutputParser({
    reasoning:
      isThinking === undefined
        ? undefined
        : { tags: { open: '<think>', close: '</think>' }, isOpen: isThinking },
    calls: syntax && { syntax, newId: () => `id${numIds++}` },
  })
  return [...pieces.flatMap((piece) => parser.feed(piece)), ...parser.finish()]
}

/** Joined, so that results can be compared. */
function joined(events: readonly ParsedEvent[]): OutputEvent[] {
  const result: OutputEvent[] = []
  appendEvents(
    result,
    events.filter((event) => event.kind !== 'markup'),
  )
  return result
}

const parts = (text: string, setup: Setup) => partsOf(joined(parse([text], setup)))
const call = (name: string, args: string, id = 'id0') => ({ kind: 'call', id, name, arguments: args })
const content = (text: string) => ({ kind: 'content', text })

const source = (events: readonly ParsedEvent[]) =>
  events
    .map((event) =>
      'source' in event
        ? event.source
        : event.kind.startsWith('call') || !('text' in event)
          ? ''
          : event.text,
    )
    .join('')

describe('hermes', () => {
  const family = 'hermes'

  it('reads calls, and text before them', () => {
    const text =
      'Let me see.\n<tool_call>\n{"name": "find", "arguments": {"city": "Oslo"}}\n</tool_call>\n' +
      '<tool_call>{"arguments": {}, "name": "add"}</tool_call>\n'
    expect(parts(text, { family })).toEqual([
      content('Let me see.'),
      call('find', '{"city": "Oslo"}'),
      call('add', '{}', 'id1'),
    ])
  })

  it.each([
    ['without its end', '<tool_call>{"name": "add", "arguments": {"a": 1}}'],
    ['without its last bracket', '<tool_call>{"name": "add", "arguments": {"a": 1}\n</tool_call>'],
    ['with a bracket too many', '<tool_call>{"name": "add", "arguments": {"a": 1}}}\n</tool_call>'],
    ['with arguments as text', '<tool_call>{"name": "add", "arguments": "{\\"a\\": 1}"}</tool_call>'],
    [
      'with other fields',
      '<tool_call>{"id": 7, "name": "add", "x": [true, null], "parameters": {"a": 1}}</tool_call>',
    ],
  ])('takes a call %s', (_, text) => {
    expect(parts(text, { family })).toEqual([call('add', '{"a": 1}')])
  })

  it('gives a call without arguments an empty object', () => {
    expect(parts('<tool_call>{"name": "add"}</tool_call>', { family })).toEqual([call('add', '{}')])
  })

  it('does not end a call at a mark within a text', () => {
    const args = '{"text": "</tool_call> <tool_call> }}"}'
    expect(parts(`<tool_call>{"name": "add", "arguments": ${args}}</tool_call>`, { family })).toEqual([
      call('add', args),
    ])
  })

  it.each([
    '<tool_call>add(1, 2)</tool_call>',
    'See <tool_call> and </tool_call>.',
    '<tool_call>{"name": 5, "arguments": {}}</tool_call>',
    '<tool_call>{"name": "", "arguments": {}}</tool_call>',
    '<tool_call>{"name": "add", "arguments": [1]}</tool_call>',
    '<tool_call>{"arguments": {}}</tool_call>',
    '<tool_call>{"name": "add", "arguments": {"a": oops}}</tool_call>',
    '<tool_call>{"name": "add", "arguments": {"a"',
    '<tool_call>{"name": "ad',
    '<tool_ca',
    '  \n',
  ])('leaves as content what is no call: %s', (text) => {
    expect(parts(text, { family })).toEqual([content(text)])
  })

  it('finds the call behind one that is none', () => {
    const text = '<tool_call><tool_call>{"name": "add", "arguments": {}}</tool_call>'
    expect(parts(text, { family })).toEqual([content('<tool_call>'), call('add', '{}')])
  })

  it('says arguments as they come', () => {
    const events = parse(['<tool_call>{"name": "add", "arguments": {"a', '": 1', '}}</tool_call>'], {
      family,
    })
    expect(events).toEqual([
      { kind: 'call-started', index: 0, id: 'id0', name: 'add' },
      { kind: 'call-arguments', index: 0, text: '{"a' },
      { kind: 'call-arguments', index: 0, text: '": 1' },
      { kind: 'call-arguments', index: 0, text: '}' },
      {
        kind: 'call-ended',
        index: 0,
        isValid: true,
        source: '<tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>',
      },
    ])
  })
})

describe('llama3_json', () => {
  const family = 'llama3_json'

  it.each([
    '{"name": "add", "parameters": {"a": 1}}',
    '<|python_tag|>{"type": "function", "name": "add", "parameters": {"a": 1}}',
  ])('reads %s', (text) => {
    expect(parts(text, { family })).toEqual([call('add', '{"a": 1}')])
  })

  it('reads several, with semicolons between', () => {
    const text = '{"name": "add", "parameters": {}}; {"name": "find", "parameters": {}}'
    expect(parts(text, { family })).toEqual([call('add', '{}'), call('find', '{}', 'id1')])
  })

  it.each([
    '{"name": "Ada", "parameters": {}}',
    '{"name": "add"}',
    '{"city": "Oslo"}',
    'Use {"name": "add", "parameters": {}}',
    '<|python_tag|>print(1)',
  ])('leaves as content what calls none of the tools: %s', (text) => {
    expect(parts(text, { family })).toEqual([content(text)])
  })
})

describe('mistral', () => {
  const family = 'mistral'

  it.each([
    '[TOOL_CALLS][{"name": "add", "arguments": {"a": 1}, "id": "abcdefghi"}, {"name": "find", "arguments": {}}]',
    '[TOOL_CALLS] [{"arguments": {"a": 1}, "name": "add"},{"name": "find", "arguments": {}}',
    '[TOOL_CALLS]add[CALL_ID]abcdefghi[ARGS]{"a": 1}[TOOL_CALLS]find[ARGS]{}',
    '[TOOL_CALLS]add{"a": 1}[TOOL_CALLS]find{}',
  ])('reads %s', (text) => {
    expect(parts(text, { family })).toEqual([call('add', '{"a": 1}'), call('find', '{}', 'id1')])
  })

  it.each([
    '[TOOL_CALLS]',
    '[TOOL_CALLS][]',
    '[TOOL_CALLS]add',
    '[TOOL_CALLS]so be it {',
    '[TOOL_CALLS][ARGS]{}',
  ])('leaves as content what is no call: %s', (text) => {
    expect(parts(text, { family })).toEqual([content(text)])
  })
})

describe('json', () => {
  const family = 'json'

  it.each([
    '{"name": "add", "arguments": {"a": 1}}',
    '```json\n{"name": "add", "arguments": {"a": 1}}\n```',
    '[{"name": "add", "arguments": {"a": 1}}]',
    '{"tool_calls": [{"id": "x", "type": "function", "function": {"name": "add", "arguments": "{\\"a\\": 1}"}}]}',
    '{"type": "function", "function": {"name": "add", "parameters": {"a": 1}}}',
    '{"function": "add", "arguments": {"a": 1}}',
  ])('reads %s', (text) => {
    expect(parts(text, { family })).toEqual([call('add', '{"a": 1}')])
  })

  it.each(['{"name": "Ada", "age": 36}', '[1, 2]', '```json\n{"a": 1}\n```', 'no', '{"tool_calls": []}'])(
    'leaves as content what calls none of the tools: %s',
    (text) => {
      expect(parts(text, { family })).toEqual([content(text)])
    },
  )
})

describe('reasoning', () => {
  const thought = (text: string) => ({ kind: 'reasoning', text })

  it('is split off, whether the answer opens it or the prompt did', () => {
    const expected = [thought('Hm.\n\nYes.'), content('Oslo.')]
    expect(parts('<think>\nHm.\n\nYes.\n</think>\n\nOslo.', { isThinking: false })).toEqual(expected)
    expect(parts('Hm.\n\nYes.\n</think>\n\nOslo.', { isThinking: true })).toEqual(expected)
    expect(parts('<think>\nHm.\n\nYes.\n</think>\n\nOslo.', { isThinking: true })).toEqual(expected)
  })

  it('comes before calls', () => {
    const text = '<think>Hm.</think>\n<tool_call>{"name": "add", "arguments": {}}</tool_call>'
    expect(parts(text, { isThinking: false, family: 'hermes' })).toEqual([thought('Hm.'), call('add', '{}')])
  })

  it('is all there is when it does not end', () => {
    expect(parts('Hm. </thi', { isThinking: true })).toEqual([thought('Hm. </thi')])
  })

  it.each(['Oslo.', ' The tag <think> opens, </think> closes.', '', '<thin', '\n\n'])(
    'is not there where the answer does not begin with it: %s',
    (text) => {
      expect(parts(text, { isThinking: false })).toEqual(text === '' ? [] : [content(text)])
    },
  )

  it('is nothing when it is empty', () => {
    expect(parts('<think>\n\n</think>\n\nOslo.', { isThinking: false })).toEqual([content('Oslo.')])
  })
})

const scraps = [
  ...toolFamilyNames.flatMap((name) => toolFamilies[name].markers),
  ...[
    '<think>',
    '</think>',
    '```json',
    '```',
    '"name"',
    '"arguments"',
    '"parameters"',
    '"add"',
    '"function"',
  ],
  ...['{"name": "add", "arguments": {"a": "b"}}', '{"name": "add", "arguments": ', '"tool_calls"'],
  ...[
    '{',
    '}',
    '[',
    ']',
    ':',
    ',',
    ' ',
    '\n',
    ';',
    '"',
    '\\',
    '\\u00e9',
    '1',
    '-0.5e3',
    'true',
    'x',
    'é',
    '😀',
  ],
]
const text = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.array(fc.constantFrom(...scraps), { maxLength: 24 }).map((some) => some.join('')),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'grapheme', maxLength: 60 }) },
)
const setup = fc.record(
  { family: fc.constantFrom(...toolFamilyNames), isThinking: fc.boolean() },
  { requiredKeys: [] },
)

describe('any text', () => {
  it('gives the same however it is cut', () => {
    fc.assert(
      fc.property(text, setup, fc.infiniteStream(fc.nat({ max: 5 })), (whole, chosen, sizes) => {
        const pieces: string[] = []
        for (let at = 0; at < whole.length;) {
          const size = sizes.next().value ?? 1
          pieces.push(whole.slice(at, at + size))
          at += size
        }
        expect(joined(parse(pieces, chosen))).toEqual(joined(parse([whole], chosen)))
      }),
      { numRuns: 3000 },
    )
  })

  it('comes out to the last character', () => {
    fc.assert(
      fc.property(text, setup, (whole, chosen) => {
        expect(source(parse([whole], chosen))).toBe(whole)
      }),
      { numRuns: 3000 },
    )
  })

  it('has arguments that are objects in every call of a whole answer', () => {
    fc.assert(
      fc.property(text, setup, (whole, chosen) => {
        for (const part of parts(whole, chosen)) {
          if (part.kind === 'call') expect(JSON.parse(part.arguments)).toBeTypeOf('object')
        }
      }),
      { numRuns: 3000 },
    )
  })
})
