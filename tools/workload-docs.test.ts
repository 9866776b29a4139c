import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { generatorNames } from '../src/workload/generators/index.ts'
import { traceFormatNames } from '../src/workload/readers/index.ts'

it('the page on workloads has a row for every trace format and generator', () => {
  const page = readFileSync(new URL('../docs/workloads.md', import.meta.url), 'utf8')
  const rows = [...page.matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, name]) => name)
  for (const name of [...traceFormatNames, ...generatorNames]) expect(rows).toContain(name)
})
