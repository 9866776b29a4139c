import { expect, it } from 'vitest'
import { commandText } from './command-text.ts'

it('writes a command as it can be typed again, without the key', () => {
  expect(commandText(['bench', '-w', "it's here", '--rate', '2'])).toBe(
    `switchyard bench -w 'it'\\''s here' --rate 2`,
  )
  expect(commandText(['bench', '--api-key', 'sk-1', '--rate', '2'])).toBe(
    'switchyard bench --api-key (hidden) --rate 2',
  )
  expect(commandText(['bench', '--api-key=sk-1'])).toBe('switchyard bench --api-key=(hidden)')
})
