/** Splits a command line by a table of settings. Values stay text: `resolve.ts` checks them. */
import { parseArgs, type ParseArgsConfig } from 'node:util'

import { ServingError } from '../core/errors.ts'
import type { Setting, SettingTable } from './setting.ts'
import { didYouMean } from './suggest.ts'

export interface CommandLine {
  /** Text by key. A switch that is given has the text `true` or `false`. */
  readonly flags: ReadonlyMap<string, string>
  readonly positionals: readonly string[]
}

/** @throws {ServingError} INVALID_CONFIG: one line that names the flag and, where one is near, the one meant. */
export function parseCommandLine(table: SettingTable, args: readonly string[]): CommandLine {
  const { tokens, positionals } = parseArgs({
    args: [...args],
    options: parserOptions(table),
    strict: false,
    allowPositionals: true,
    tokens: true,
  })
  const flags = new Map<string, string>()
  for (const token of tokens) {
    if (token.kind !== 'option') continue
    const { key, value } = readOption(table, token)
    const before = flags.get(key)
    if (before !== undefined && table[key]?.kind.isList !== true)
      throw new ServingError('INVALID_CONFIG', `${token.rawName} is given twice.`)
    flags.set(key, before === undefined ? value : `${before},${value}`)
  }
  return { flags, positionals }
}

type OptionToken = {
  name: string
  rawName: string
  value?: string | undefined
  inlineValue?: boolean | undefined
}

function readOption(table: SettingTable, token: OptionToken): { key: string; value: string } {
  const { name, rawName, value } = token
  const known = findSetting(table, name)
  if (known === undefined) return { key: requireNegated(table, token), value: 'false' }
  if (known.kind.placeholder === undefined) return { key: name, value: value ?? 'true' }
  if (value === undefined || value === '' || (token.inlineValue !== true && looksLikeFlag(value))) {
    throw new ServingError('INVALID_CONFIG', `${rawName} needs a value: ${known.kind.expected}.`)
  }
  return { key: name, value }
}

/** `--no-x` turns the switch x off. */
function requireNegated(table: SettingTable, { name, rawName, value }: OptionToken): string {
  const negated = name.startsWith('no-') ? name.slice(3) : undefined
  const known = negated === undefined ? undefined : findSetting(table, negated)
  if (
    negated !== undefined &&
    known?.kind.placeholder === undefined &&
    known !== undefined &&
    value === undefined
  )
    return negated
  throw new ServingError(
    'INVALID_CONFIG',
    `Unknown option ${rawName}.${didYouMean(name, Object.keys(table), '--')}`,
  )
}

function findSetting(table: SettingTable, name: string): Setting<unknown> | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined
}

/** `-1` is a number, `-` is a file; everything else with a dash is probably the next flag. */
function looksLikeFlag(value: string): boolean {
  return /^-[^\d.]/.test(value)
}

function parserOptions(table: SettingTable): NonNullable<ParseArgsConfig['options']> {
  return Object.fromEntries(
    Object.entries(table).map(([name, { kind, short }]) => [
      name,
      {
        type: kind.placeholder === undefined ? ('boolean' as const) : ('string' as const),
        ...(short === undefined ? {} : { short }),
      },
    ]),
  )
}
