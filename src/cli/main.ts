#!/usr/bin/env node
/** The program: turns failures into one line and an exit status, 1 for what failed and 2 for wrong usage. */
import { ServingError } from '../core/errors.ts'
import { dispatch } from './dispatch.ts'

/** What a user can put right is one line; anything else is a defect and shows where it happened. */
function report(error: unknown): number {
  if (error instanceof ServingError) {
    process.stderr.write(`switchyard: ${error.message}\n`)
    return error.code === 'INVALID_CONFIG' ? 2 : 1
  }
  process.stderr.write(
    `switchyard: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  )
  return 1
}

// A reader that has seen enough (`switchyard help | head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))

const status = await dispatch(process.argv.slice(2), (text) => process.stdout.write(text)).catch(report)
// A pipe may not have taken all that was written.
process.stdout.write('', () => process.exit(status))
