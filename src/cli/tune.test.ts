import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { parseCommandLine } from '../config/command-line.ts'
import { readConfigFile } from '../config/config-file.ts'
import { resolveSettings } from '../config/resolve.ts'
import { settings } from '../config/schema.ts'
import { ServingError } from '../core/errors.ts'
import { tune } from './tune.ts'
import { tuneSpace } from './tune-space.ts'

const machine = ['--latency', 'roofline:device=l4,model=llama-3.1-8b', '--kv-cache-tokens', '20000']
const load = ['-w', 'tenants:requests=120,prompt=400,output=40', '--rate', '3', '--goal-ttft-ms', '1000']
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'switchyard-tune-'))
})

afterAll(() => rm(folder, { recursive: true }))

async function runTune(...args: string[]): Promise<string> {
  const written: string[] = []
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => written.push(String(text)) > 0)
  try {
    expect(await tune.run(parseCommandLine(tune.options, [...machine, ...load, ...args]))).toBe(0)
  } finally {
    write.mockRestore()
  }
  return written.join('')
}

test('finds the same settings each time, and writes them so that serve reads them', async () => {
  const out = join(folder, 'tuned.yaml')
  const first = await runTune('--max-num-seqs', '4', '--out', out)
  expect(first).toMatch(/max-num-seqs: 4 -> \d+ +without it .* held out/)
  const file = { path: out, values: readConfigFile(out, settings) }
  expect(resolveSettings(settings, { flags: new Map(), file }).values.maxNumSeqs).toBeGreaterThan(4)
  expect(first).toContain(await readFile(out, 'utf8'))
  expect(await runTune('--max-num-seqs', '4')).toBe(first)
})

test('says so where nothing is to be changed', async () => {
  const out = join(folder, 'unchanged.yaml')
  const said = await runTune('--least-gain', '100', '--out', out)
  expect(said).toContain('nothing to change')
  expect(said).toContain(await readFile(out, 'utf8'))
  expect(readConfigFile(out, settings)).toEqual(new Map())
})

test('asks for the goals that goodput is counted by, and for the model to verify with', async () => {
  const refused = (...args: string[]): Promise<unknown> =>
    Promise.resolve(tune.run(parseCommandLine(tune.options, [...machine, '-w', 'poisson', ...args])))
  await expect(refused()).rejects.toThrow(ServingError)
  await expect(refused('--goal', 'jain', '--verify', '1')).rejects.toThrow('--model')
})

test('tries only settings that serve has, at values that it takes', () => {
  for (const { name, values } of tuneSpace) {
    for (const value of values) {
      const flags = new Map(value === undefined ? [] : [[name, value]])
      expect(Object.keys(settings)).toContain(name)
      expect(() => resolveSettings(settings, { flags })).not.toThrow()
    }
  }
})
