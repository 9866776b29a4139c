import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, expect, it } from 'vitest'

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'switchyard-profile-'))
afterAll(() => rmSync(folder, { recursive: true }))

const switchyard = async (...args: string[]): Promise<string> =>
  (await promisify(execFile)(process.execPath, ['--import', 'tsx', main, ...args])).stdout

it('profiles the bundled model, and sums the timeline up again', async () => {
  const out = join(folder, 'profile.json')
  const engine = ['--threads', '1', '--kv-cache-tokens', '8192']
  const page = await switchyard(
    'profile',
    ...engine,
    '--out',
    out,
    '--max-num-seqs',
    '4',
    '--output-tokens',
    '24',
  )
  expect(page).toMatch(/^yardling.*on CPU/)
  expect(page).toMatch(/^Bound by (computing|memory traffic|the host's JavaScript): [\d.]+ %/m)
  const [flops, bytes] = /now: ([\d.]+) GFLOP\/s, ([\d.]+) GB\/s/.exec(page)!.slice(1).map(Number)
  expect(flops).toBeGreaterThan(1)
  expect(bytes).toBeGreaterThan(0.5)
  // Kernels cannot be faster than what was measured as the limit, but for what the caches hold.
  expect(page).toMatch(/^ +4 +\d+ .*(computing|memory traffic|JavaScript)$/m)
  expect(JSON.parse(readFileSync(out, 'utf8'))).toBeInstanceOf(Array)
  const again = await switchyard('profile', '--trace', out)
  const partsOf = (text: string) => text.slice(text.indexOf('A mean step'), text.indexOf('Kernels against'))
  expect(partsOf(again)).toBe(partsOf(page))
}, 120_000)
