import type { Reporter, TestModule, Vitest } from 'vitest/node'
import { CompatibilityCheck } from './compatibility-check.ts'

/** Ends the run with one plain line that any CI can read: `N passed, N failed`. */
export default class SummaryReporter implements Reporter {
  #compatibility: CompatibilityCheck | undefined

  onInit(vitest: Vitest): void {
    this.#compatibility = new CompatibilityCheck(vitest)
  }

  async onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): Promise<void> {
    let passed = 0
    let failed = errors.length
    let skipped = 0
    for (const module of modules) {
      if (module.errors().length > 0) failed += 1
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        if (state === 'passed') passed += 1
        else if (state === 'failed') failed += 1
        else skipped += 1
      }
    }
    const complaint = await this.#compatibility?.complaint(modules)
    if (complaint !== undefined) {
      process.stderr.write(`${complaint}\n`)
      process.exitCode = 1
      failed += 1
    }
    const tail = skipped > 0 ? `, ${skipped} skipped` : ''
    process.on('exit', () => console.log(`${passed} passed, ${failed} failed${tail}`))
  }
}
