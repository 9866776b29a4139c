import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { readApiKeys } from './api-keys.ts'
import { resolveSettings } from './resolve.ts'
import { settings } from './schema.ts'

let folder: string
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'switchyard-keys-'))))
afterEach(() => rmSync(folder, { recursive: true }))

function keysIn(text: string) {
  const path = join(folder, 'keys.yaml')
  writeFileSync(path, text)
  return readApiKeys(path)
}

const hash = 'AB'.repeat(32)

it('reads keys with their weights, classes and limits', () => {
  const text = `keys:
  - { name: ada, sha256: ${hash}, weight: 2, classes: [flex], limits: { requests-per-minute: 60 } }
  - { name: bob, sha256: ${hash} }`
  expect(keysIn(text)).toMatchObject([
    {
      name: 'ada',
      sha256: hash.toLowerCase(),
      weight: 2,
      classes: ['flex'],
      limits: { requestsPerMinute: 60 },
    },
    { name: 'bob', weight: 1, classes: [], limits: { requestsPerMinute: undefined } },
  ])
})

it.each([
  ['a key in plain text', 'keys: [{ name: a, key: secret }]', 'keys.0'],
  ['a hash that is none', 'keys: [{ name: a, sha256: secret }]', 'sha256sum'],
  ['an unknown limit', `keys: [{ name: a, sha256: ${hash}, limits: { rpm: 1 } }]`, 'keys.0.limits'],
  ['a weight of nothing', `keys: [{ name: a, sha256: ${hash}, weight: 0 }]`, 'keys.0.weight'],
  ['no list', 'ada', 'keys.yaml'],
  ['what is not YAML', 'keys: [', 'not valid YAML'],
])('refuses a file with %s', (_, text, named) => {
  expect(() => keysIn(text)).toThrow(named)
})

it('reads classes from a flag and from a file, and says what it expects', () => {
  const values = {
    chat: { 'ttft-ms': 500, 'tbt-ms': 80, weight: 8 },
    bulk: { 'ttft-ms': 60_000, yields: true },
  }
  const expected = [
    { name: 'chat', ttftTarget: 500_000, tbtTarget: 80_000, weight: 8, yields: false },
    { name: 'bulk', ttftTarget: 60_000_000, tbtTarget: undefined, weight: 1, yields: true },
  ]
  const ofFlag = (text: string) =>
    resolveSettings(settings, { flags: new Map([['service-classes', text]]) }).values.serviceClasses
  expect(ofFlag(JSON.stringify(values))).toEqual(expected)
  const file = { path: 'f', values: new Map([['service-classes', values]]) }
  expect(resolveSettings(settings, { flags: new Map(), file }).values.serviceClasses).toEqual(expected)
  for (const wrong of [
    '',
    '{',
    'chat',
    '{}',
    '{chat: {}}',
    '{chat: {ttft-ms: 0}}',
    '{chat: {ttft-ms: 1, x: 1}}',
  ]) {
    expect(() => ofFlag(wrong), wrong).toThrow('expected a map of 1 to 16 classes')
  }
})

it('reads token prices as text and as a list', () => {
  const ofFlag = (text: string) =>
    resolveSettings(settings, { flags: new Map([['token-prices', text]]) }).values.tokenPrices
  expect(ofFlag('1, 0.5,4')).toEqual({ prompt: 1, cached: 0.5, output: 4 })
  const file = { path: 'f', values: new Map([['token-prices', [1, 0, 3]]]) }
  const expected = { prompt: 1, cached: 0, output: 3 }
  expect(resolveSettings(settings, { flags: new Map(), file }).values.tokenPrices).toEqual(expected)
  for (const wrong of ['1,2', '1,2,3,4', '1,,2', 'a,b,c', '-1,0,0'])
    expect(() => ofFlag(wrong)).toThrow('three numbers')
})
