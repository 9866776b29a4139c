import { expect, it } from 'vitest'
import { chatRequest } from './chat.ts'

it('leaves out of messages what is not set, and keeps what only the template may know', () => {
  const { messages } = chatRequest.parse({
    messages: [
      { role: 'user', content: 'Hi', name: null, tool_calls: null },
      {
        role: 'assistant',
        tool_calls: [{ type: null, function: { name: 'f', arguments: '{}' } }],
        reasoning_content: 'Hm',
      },
    ],
  })
  expect(messages).toStrictEqual([
    { role: 'user', content: 'Hi' },
    {
      role: 'assistant',
      tool_calls: [{ function: { name: 'f', arguments: '{}' } }],
      reasoning_content: 'Hm',
    },
  ])
})

it('leaves out of tools what is not set', () => {
  const { tools } = chatRequest.parse({
    messages: [{ role: 'user', content: 'Hi' }],
    tools: [{ type: 'function', function: { name: 'f', description: null, strict: true } }],
  })
  expect(tools).toStrictEqual([{ type: 'function', function: { name: 'f', strict: true } }])
})
