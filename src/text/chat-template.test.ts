import { fileURLToPath } from 'node:url'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

import { createChatTemplate, encodePrompt } from './chat-template.ts'
import type { ChatMessage } from './chat-messages.ts'
import type { Tokenizer } from './tokenizer.ts'

const noSpecials = { bosText: '', eosText: '' }
const bundled = readFileSync(new URL('../../models/yardling/chat_template.jinja', import.meta.url), 'utf8')
const weatherTool = {
  type: 'function',
  function: { name: 'get_weather', description: 'Weather', parameters: { type: 'object', properties: {} } },
}
const weatherCall: ChatMessage = {
  role: 'assistant',
  content: null,
  tool_calls: [
    { id: 'call_1', type: 'function', function: { name: 'get_weather', arguments: '{"city":"Oslo"}' } },
  ],
}

describe('the bundled template', () => {
  const template = createChatTemplate(bundled, noSpecials)

  it('renders a conversation as ChatML', () => {
    const messages: ChatMessage[] = [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Hello' },
      { role: 'assistant', content: 'Hi' },
    ]
    expect(template.render(messages, { addGenerationPrompt: false })).toBe(
      '<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\nHi<|im_end|>\n',
    )
    expect(template.render(messages.slice(1, 2), { addGenerationPrompt: true })).toBe(
      '<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n',
    )
  })

  it('lists tools, repeats calls as the model wrote them, and joins tool responses into one turn', () => {
    const prompt = template.render(
      [
        { role: 'user', content: 'Weather?' },
        weatherCall,
        { role: 'tool', tool_call_id: 'call_1', content: '{"celsius": 4}' },
        { role: 'tool', tool_call_id: 'call_2', content: 'none' },
      ],
      { addGenerationPrompt: true, tools: [weatherTool] },
    )
    expect(prompt).toContain(
      '<tools>\n{"type": "function", "function": {"name": "get_weather", "description": "Weather"',
    )
    expect(prompt).toContain(
      '<tool_call>\n{"name": "get_weather", "arguments": {"city":"Oslo"}}\n</tool_call><|im_end|>',
    )
    expect(prompt).toContain(
      '<|im_start|>user\n<tool_response>\n{"celsius": 4}\n</tool_response>\n<tool_response>\nnone\n</tool_response><|im_end|>',
    )
  })

  it('treats an empty list of tools as none', () => {
    const messages = [{ role: 'user', content: 'Hello' }]
    expect(template.render(messages, { addGenerationPrompt: true, tools: [] })).not.toContain('<tools>')
  })

  it('joins text parts by line breaks and refuses others by their place', () => {
    const content = [
      { type: 'text', text: 'one' },
      { type: 'text', text: 'two' },
    ]
    expect(template.render([{ role: 'user', content }], { addGenerationPrompt: false })).toBe(
      '<|im_start|>user\none\ntwo<|im_end|>\n',
    )
    const image = [{ role: 'user', content: [...content, { type: 'image_url', image_url: { url: 'x' } }] }]
    expect(() => template.render(image, { addGenerationPrompt: true })).toThrow(
      expect.objectContaining({ code: 'INVALID_REQUEST', param: 'messages[0].content[2]' }),
    )
  })
})

// Written for these tests in the manner of Llama 3's: BOS first, a date, headers, roles must alternate.
const llamaLike = `{{- bos_token }}
{%- if not date_string is defined %}{%- set date_string = strftime_now("%d %b %Y") %}{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\nToday Date: " + date_string + "\\n\\n<|eot_id|>" }}
{%- for message in messages %}
    {%- if (message.role == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception("Conversation roles must alternate user/assistant/user/assistant/...") }}
    {%- endif %}
    {{- "<|start_header_id|>" + message["role"] + "<|end_header_id|>\\n\\n" + message["content"] | trim + "<|eot_id|>" }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- "<|start_header_id|>assistant<|end_header_id|>\\n\\n" }}
{%- endif %}
`

describe('a template like that of Llama 3', () => {
  const now = (): Date => new Date(2024, 6, 4)
  const template = createChatTemplate(llamaLike, { bosText: '<|begin_of_text|>', eosText: '', now })

  it('has the BOS text, the date and trimmed content', () => {
    expect(template.render([{ role: 'user', content: '  Hi \n' }], { addGenerationPrompt: true })).toBe(
      '<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nToday Date: 04 Jul 2024\n\n<|eot_id|>' +
        '<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n',
    )
  })

  it('takes further variables, but not in place of its own', () => {
    const extra = { date_string: 'tomorrow', messages: [], bos_token: 'no' }
    const prompt = template.render([{ role: 'user', content: 'Hi' }], { addGenerationPrompt: false, extra })
    expect(prompt).toContain('Today Date: tomorrow')
    expect(prompt.startsWith('<|begin_of_text|>')).toBe(true)
    expect(prompt).toContain('Hi')
  })

  it("fails with the template's own words", () => {
    expect(() =>
      template.render([{ role: 'assistant', content: 'Hi' }], { addGenerationPrompt: true }),
    ).toThrow(
      expect.objectContaining({
        code: 'TEMPLATE_FAILED',
        param: 'messages',
        message: expect.stringContaining('Conversation roles must alternate') as string,
      }),
    )
  })
})

// In the manner of Qwen's: arguments through tojson, so they must arrive parsed; a switch for thinking.
const qwenLike = `{%- for message in messages %}
    {{- '<|im_start|>' + message.role }}
    {%- if message.content %}{{- '\\n' + message.content }}{%- endif %}
    {%- for tool_call in message.tool_calls or [] %}
        {%- if tool_call.function is defined %}{%- set tool_call = tool_call.function %}{%- endif %}
        {{- '\\n<tool_call>\\n{"name": "' + tool_call.name + '", "arguments": ' }}
        {{- tool_call.arguments | tojson }}
        {{- '}\\n</tool_call>' }}
    {%- endfor %}
    {{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}
{%- endif %}`

describe('a template like that of Qwen', () => {
  const template = createChatTemplate(qwenLike, noSpecials)

  it('gets call arguments parsed, so that they are not quoted twice', () => {
    const prompt = template.render([{ role: 'user', content: 'Weather?' }, weatherCall], {
      addGenerationPrompt: false,
    })
    expect(prompt).toContain(
      '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call><|im_end|>',
    )
  })

  it('shows arguments that are no JSON as they were said', () => {
    const broken = { ...weatherCall, tool_calls: [{ function: { name: 'f', arguments: '{"city":' } }] }
    expect(template.render([broken], { addGenerationPrompt: false })).toContain(
      String.raw`"arguments": "{\"city\":"}`,
    )
  })

  it('turns thinking off when told to', () => {
    const messages = [{ role: 'user', content: 'Hi' }]
    const render = (extra: Record<string, unknown>): string =>
      template.render(messages, { addGenerationPrompt: true, extra })
    expect(render({ enable_thinking: false }).endsWith('<think>\n\n</think>\n\n')).toBe(true)
    expect(render({}).endsWith('<|im_start|>assistant\n')).toBe(true)
  })
})

describe('createChatTemplate', () => {
  it('falls back to ChatML', () => {
    const template = createChatTemplate(undefined, noSpecials)
    expect(template.render([{ role: 'user', content: 'Hi' }], { addGenerationPrompt: true })).toBe(
      '<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n',
    )
  })

  it('refuses a template it cannot parse', () => {
    expect(() => createChatTemplate('{% if %}', noSpecials)).toThrow(
      expect.objectContaining({ code: 'INVALID_MODEL' }),
    )
  })

  it('gives templates range and namespace', () => {
    const source =
      '{% set ns = namespace(n=0) %}{% for i in range(2, 7, 2) %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}'
    expect(createChatTemplate(source, noSpecials).render([], { addGenerationPrompt: false })).toBe('12')
  })
})

describe('encodePrompt', () => {
  /** One token a letter; `^` is BOS and `$` EOS, added as the vocabulary wants. */
  const letters = (before: string, after: string): Tokenizer => ({
    vocabSize: 128,
    endTokenIds: [],
    bosText: '^',
    eosText: '$',
    chatTemplate: undefined,
    encode: (text, { addSpecial }) =>
      [...(addSpecial ? before + text + after : text)].map((letter) => letter.charCodeAt(0)),
    pieceBytes: (token) => Uint8Array.of(token),
    decode: (tokens) => String.fromCharCode(...tokens),
    close: () => undefined,
  })
  const text = (tokenizer: Tokenizer, prompt: string): string =>
    tokenizer.decode(encodePrompt(tokenizer, prompt))

  it('has BOS and EOS once, whether or not the template wrote them', () => {
    expect(text(letters('^', ''), '^hi')).toBe('^hi')
    expect(text(letters('^', ''), 'hi')).toBe('^hi')
    expect(text(letters('^', '$'), '^hi$')).toBe('^hi$')
    expect(text(letters('^', '$'), 'hi')).toBe('^hi$')
    expect(text(letters('', ''), '^hi')).toBe('^hi')
  })
})

describe('the bundled template file', () => {
  it('is the one inside the bundled model', async () => {
    const { openLlamaTokenizer } = await import('./llama-tokenizer.ts')
    const path = fileURLToPath(new URL('../../models/yardling/yardling-q8_0.gguf', import.meta.url))
    const tokenizer = openLlamaTokenizer(path)
    expect(tokenizer.chatTemplate?.trim()).toBe(bundled.trim())
    tokenizer.close()
  })
})
