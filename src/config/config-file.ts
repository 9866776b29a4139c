/** The YAML file of `--config`: a flat map with the keys of the flags. */
import { readFileSync } from 'node:fs'
import { parse } from 'yaml'

import { reasonOf, ServingError } from '../core/errors.ts'
import type { SettingTable } from './setting.ts'
import { didYouMean } from './suggest.ts'

/**
 * Values by key, unchecked but for the names.
 * @throws {ServingError} INVALID_CONFIG when the file cannot be read, is no map, or has a key the table lacks.
 */
export function readConfigFile(path: string, table: SettingTable): ReadonlyMap<string, unknown> {
  const document = parseYaml(path)
  if (document === null) return new Map()
  if (typeof document !== 'object' || Array.isArray(document)) {
    throw new ServingError('INVALID_CONFIG', `${path}: expected a map of settings, such as "port: 8000".`)
  }
  const entries = Object.entries(document)
  for (const [key] of entries) {
    if (Object.hasOwn(table, key)) continue
    throw new ServingError(
      'INVALID_CONFIG',
      `${path}: unknown key "${key}".${didYouMean(key, Object.keys(table))}`,
    )
  }
  return new Map(entries)
}

/** @throws {ServingError} INVALID_CONFIG when the file cannot be read or is not YAML. */
export function parseYaml(path: string): unknown {
  const content = readText(path)
  try {
    return parse(content)
  } catch (cause) {
    const [firstLine] = String(cause instanceof Error ? cause.message : cause).split('\n')
    const what = firstLine?.replace(/:$/, '')
    throw new ServingError('INVALID_CONFIG', `${path}: not valid YAML: ${what}.`, { cause })
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new ServingError('INVALID_CONFIG', `${path}: cannot be read (${reasonOf(cause)}).`, { cause })
  }
}
