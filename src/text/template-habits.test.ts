import { describe, expect, it } from 'vitest'

import type { ChatMessage } from './chat-messages.ts'
import { createChatTemplate } from './chat-template.ts'

const tool = {
  type: 'function',
  function: { name: 'find', parameters: { type: 'object', properties: { a: {} } } },
}
const call = (id: string, args: string) => ({
  id,
  type: 'function',
  function: { name: 'find', arguments: args },
})
const conversation: ChatMessage[] = [
  { role: 'user', content: 'Hi' },
  { role: 'assistant', content: null, tool_calls: [call('one', '{"a": 1}'), call('two', '{"a": 2}')] },
  { role: 'tool', tool_call_id: 'two', content: 'second' },
  { role: 'tool', tool_call_id: 'one', content: 'first' },
  { role: 'user', content: 'Go on' },
]
const render = (source: string, options: { tools?: readonly unknown[] } = {}) =>
  createChatTemplate(source, { bosText: '', eosText: '' }).render(conversation, {
    addGenerationPrompt: true,
    ...options,
  })

describe('a template', () => {
  it('that looks into the content gets text where there is none', () => {
    const source =
      "{% for m in messages %}{{ m.role }}:{{ m.content.split('</think>')[-1] }}" +
      '{% for c in m.tool_calls or [] %}<{{ c.function.name }} {{ c.function.arguments | tojson }}>{% endfor %};{% endfor %}'
    expect(render(source)).toContain('assistant:<find {"a": 1}><find {"a": 2}>;tool:second;')
  })

  it('that asks whether there is content gets null', () => {
    const source =
      '{% for m in messages %}{{ m.role }}:{% if m.content is not none %}{{ m.content }}{% endif %}' +
      '{% for c in m.tool_calls or [] %}<{{ c.function.name }}>{% endfor %};{% endfor %}'
    expect(render(source)).toContain('assistant:<find><find>;')
  })

  it('that takes one call a message gets several as several messages, each with its result', () => {
    const source =
      '{% for m in messages %}{% if m.tool_calls %}{% if m.tool_calls | length != 1 %}' +
      "{{ raise_exception('one') }}{% endif %}<{{ m.tool_calls[0].function.name }} " +
      '{{ m.tool_calls[0].function.arguments | tojson }}>;{% else %}{{ m.role }}:{{ m.content }};{% endif %}{% endfor %}'
    expect(render(source)).toBe('user:Hi;<find {"a": 1}>;tool:first;<find {"a": 2}>;tool:second;user:Go on;')
  })

  it('that needs descriptions of tools gets empty ones', () => {
    const source =
      '{% for t in tools %}{{ t.function.name }}{{ t.function.description | trim }}' +
      '{% for n, p in t.function.parameters.properties | items %}({{ n }}{{ p.description | trim }}){% endfor %}{% endfor %}'
    expect(render(source, { tools: [tool] })).toBe('find(a)')
  })

  it('that knows no tools gets them as text, with calls and results', () => {
    const source = '{% for m in messages %}{{ m.role }}:{{ m.content }};{% endfor %}'
    const lines = [
      'user:You can call these tools, one a line:',
      JSON.stringify(tool),
      'To call a tool, reply with nothing but its name and arguments as JSON: {"name": "...", "arguments": {...}}',
      'Else answer as usual.',
      '',
      'Hi;assistant:{"name": "find", "arguments": {"a": 1}}',
      '{"name": "find", "arguments": {"a": 2}};user:Result of the tool:',
      'second',
      '',
      'Result of the tool:',
      'first;user:Go on;',
    ]
    expect(render(source, { tools: [tool] })).toBe(lines.join('\n'))
  })
})
