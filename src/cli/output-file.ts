/** Files that a verb writes at its end: tried at its start, so that hours of measuring are not lost to a typing error. */
import { access, constants, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { reasonOf, ServingError } from '../core/errors.ts'

/**
 * Writes nothing: whether a file could be made or overwritten there. `-` and undefined are no files.
 * @throws {ServingError} INVALID_CONFIG
 */
export async function checkOutputs(paths: readonly (string | undefined)[]): Promise<void> {
  for (const path of paths) if (path !== undefined && path !== '-') await checkOutput(path)
}

/** @throws {ServingError} INTERNAL when the file cannot be written. */
export async function writeOutput(path: string, content: string): Promise<void> {
  await writeFile(path, content).catch((cause: unknown) => {
    throw new ServingError('INTERNAL', `${path}: cannot be written (${reasonOf(cause)}).`, { cause })
  })
}

async function checkOutput(path: string): Promise<void> {
  try {
    const there = await stat(path).catch(() => undefined)
    if (there?.isDirectory()) throw new Error('it is a folder')
    await access(there === undefined ? dirname(path) : path, constants.W_OK)
  } catch (cause) {
    throw new ServingError('INVALID_CONFIG', `${path}: cannot be written (${reasonOf(cause)}).`, { cause })
  }
}
