import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { BenchReport } from '../../src/bench/bench-report.ts'
import { startNullServer } from '../../src/bench/null-server.ts'

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
let folder = ''

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'switchyard-simulator-'))
})

afterAll(() => rmSync(folder, { recursive: true }))

function switchyard(...args: string[]): Promise<{ status: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const options = { cwd: folder, maxBuffer: 2 ** 28 }
    const child = execFile(
      process.execPath,
      ['--import', import.meta.resolve('tsx'), main, ...args],
      options,
      (_error, stdout, stderr) => resolve({ status: child.exitCode, stdout, stderr }),
    )
  })
}

it('calibrates this machine, and simulates with what it found', async () => {
  const calibrated = await switchyard(
    'calibrate',
    '--seconds',
    '10',
    '--max-num-seqs',
    '8',
    '--out',
    'here.json',
  )
  expect(calibrated.stdout).toMatch(/Steps that the fit has not seen: off by/)
  expect(calibrated.status).toBe(0)
  const workload = 'agents:programs=10,turns=3,system=100,first=80,output=30,max-tokens=500'
  const { stdout, status } = await switchyard(
    'simulate',
    '--latency',
    'here.json',
    '-w',
    workload,
    '--json',
    '-',
  )
  expect(status).toBe(0)
  const report = JSON.parse(stdout) as BenchReport
  const [target] = report.targets
  expect(target?.figures.numFailed).toBe(0)
  expect(target?.figures.cachedShare).toBeGreaterThan(0.1)
  expect(target?.server).toMatch(/^simulated, measured/)
})

it('gives the same report for the same command, byte for byte', async () => {
  const args = ['simulate', '-w', 'agents:programs=40,tenants=4,rate=20', '--engines', '3', '--json', '-']
  const [one, other] = [await switchyard(...args), await switchyard(...args)]
  expect(one.status).toBe(0)
  expect(one.stdout.length).toBeGreaterThan(10_000)
  expect(other.stdout).toBe(one.stdout)
})

it('writes a report that no pipe takes at once to its end', async () => {
  const { stdout, status } = await switchyard(
    'simulate',
    '-w',
    'poisson:requests=3000,rate=100',
    '--json',
    '-',
  )
  expect(status).toBe(0)
  expect(stdout.length).toBeGreaterThan(2 ** 18)
  expect((JSON.parse(stdout) as BenchReport).targets[0]?.requests.length).toBe(3000)
})

it('summarises more requests than a report has rows for as they end', async () => {
  const { stdout, stderr } = await switchyard(
    ...[
      'simulate',
      '-w',
      'poisson:requests=600,prompt=40,output=8,rate=40',
      '--repeat',
      '200',
      '--json',
      '-',
    ],
  )
  expect(stderr).toMatch(/of 120000 requests/)
  const { workload, targets } = JSON.parse(stdout) as BenchReport
  expect(workload.numRequests).toBe(120_000)
  expect(targets[0]?.requests.length).toBe(60_000)
  expect(targets[0]?.figures).toMatchObject({ numMeasured: 102_000, numExcluded: 18_000, numFailed: 0 })
})

it('lays a simulation over what a server was measured to do with the same workload', async () => {
  const server = await startNullServer({ firstTokenMs: 20, gapMs: 2 })
  const workload = ['-w', 'tenants:requests=60,prompt=40,output=8,rate=30', '--seed', '3']
  try {
    const measured = await switchyard('bench', ...workload, '--url', server.url, '--json', 'measured.json')
    expect(measured.stderr).not.toMatch(/Error/)
  } finally {
    await server.close()
  }
  expect((await switchyard('simulate', ...workload, '--json', 'simulated.json')).status).toBe(0)
  const drawn = await switchyard('report', 'measured.json', 'simulated.json', '--html', 'both.html')
  expect(drawn.status).toBe(0)
  const page = readFileSync(join(folder, 'both.html'), 'utf8')
  // One workload, told once: what differs is who served it.
  expect(page).not.toContain('These reports differ')
  expect(page.match(/<h2>Workload<\/h2>/g)).toHaveLength(1)
  const columns = [...page.matchAll(/<th scope="col"[^>]*class="s\d[^>]*>/g)]
  expect(columns).toHaveLength(2)
  for (const file of ['measured.json', 'simulated.json']) {
    const [target] = (JSON.parse(readFileSync(join(folder, file), 'utf8')) as BenchReport).targets
    expect(target?.requests).toHaveLength(60)
    expect(page).toContain(`Target ${target?.name}`)
  }
})

it.each([
  [['simulate', '--latency', 'none.json'], /none\.json: cannot be read \(ENOENT\)/],
  [['simulate', '--latency', 'roofline:device=abacus,model=llama-3.1-8b'], /device is one of/],
  [['simulate', '--latency', 'roofline:device=l4,model=llama-3.1-70b'], /does not fit/],
  [['replay', main], /is no recording/],
])('refuses %j in one line', async (args, message) => {
  const { status, stderr } = await switchyard(...args)
  expect(status).not.toBe(0)
  expect(stderr).toMatch(message)
  expect(stderr.trimEnd().split('\n')).toHaveLength(1)
})
