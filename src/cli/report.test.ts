import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, describe, expect, it } from 'vitest'

import { makeReport } from '../../test/support/bench-report-fixture.ts'
import { dispatch } from './dispatch.ts'

const dir = mkdtempSync(join(tmpdir(), 'switchyard-report-'))
afterAll(() => rmSync(dir, { recursive: true }))

function save(name: string, target: string): string {
  const path = join(dir, name)
  writeFileSync(path, JSON.stringify(makeReport({ targets: [[target, 1]], numRequests: 30, numTenants: 1 })))
  return path
}

describe('switchyard report', () => {
  it('draws a file into a page beside it', async () => {
    const path = save('one.json', 'first')
    expect(await dispatch(['report', path], () => {})).toBe(0)
    expect(readFileSync(join(dir, 'one.html'), 'utf8')).toContain('</html>')
  })

  it('puts several files into one page', async () => {
    const out = join(dir, 'both.html')
    const paths = [save('a.json', 'first'), save('b.json', 'second')]
    expect(await dispatch(['report', ...paths, '--html', out], () => {})).toBe(0)
    const page = readFileSync(out, 'utf8')
    for (const text of ['first', 'second', '<h3>a</h3>', '<h3>b</h3>']) expect(page).toContain(text)
  })

  it('names a file that is no report, and one that cannot be written', async () => {
    const path = join(dir, 'other.json')
    writeFileSync(path, '{}')
    await expect(dispatch(['report', path], () => {})).rejects.toMatchObject({
      code: 'INVALID_REQUEST',
      message: expect.stringContaining('other.json: no report of switchyard bench'),
    })
    const good = save('good.json', 'first')
    await expect(
      dispatch(['report', good, '--html', join(dir, 'no-folder', 'x.html')], () => {}),
    ).rejects.toMatchObject({ message: expect.stringContaining('cannot be written') })
  })
})
