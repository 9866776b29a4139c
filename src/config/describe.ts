/** What people read about settings: help on a terminal, the effective values, the reference in Markdown. */
import { camelCase, environmentName, type Resolved } from './resolve.ts'
import { settings, type Config } from './schema.ts'
import type { Setting, SettingTable } from './setting.ts'

/** The options of a verb by group, wrapped to `width` columns. */
export function optionsHelp(table: SettingTable, width = 100): string {
  const groups = byGroup(table)
  const names = Object.entries(table).map(([key, known]) => flagText(key, known))
  const indent = Math.min(34, Math.max(...names.map((name) => name.length)) + 4)
  return [...groups]
    .map(([group, entries]) => {
      const lines = entries.flatMap(([key, known]) =>
        columns(flagText(key, known), aboutText(known), indent, width),
      )
      return `${group}:\n${lines.join('\n')}`
    })
    .join('\n\n')
}

/** One line a setting: key, value, where it was set. Secrets stay hidden. */
export function configText({ values, origins }: Resolved<Config>): string {
  const rows = Object.entries(settings as SettingTable).map(([key, known]) => {
    const value = (values as unknown as Record<string, unknown>)[camelCase(key)]
    return [key, valueText(known, value), origins.get(key) ?? 'default'] as const
  })
  const keyWidth = Math.max(...rows.map(([key]) => key.length))
  const valueWidth = Math.min(60, Math.max(...rows.map(([, value]) => value.length)))
  return rows
    .map(([key, value, origin]) => `${key.padEnd(keyWidth)}  ${value.padEnd(valueWidth)}  ${origin}\n`)
    .join('')
}

/** The table in `docs/configuration.md`. */
export function settingsMarkdown(table: SettingTable): string {
  const groups = byGroup(table)
  return [...groups]
    .map(([group, entries]) => {
      const rows = entries.map(([key, known]) => {
        const flag = `\`${flagText(key, known).trim().replaceAll('|', '\\|')}\``
        return `| ${flag} | \`${environmentName(key)}\` | ${defaultText(known)} | ${known.about} |\n`
      })
      return `## ${group}\n\n| flag | environment | default | what |\n|---|---|---|---|\n${rows.join('')}`
    })
    .join('\n')
}

type Entry = readonly [key: string, known: Setting<unknown>]

/** In the order in which groups and settings appear in the table. */
function byGroup(table: SettingTable): Map<string, Entry[]> {
  const groups = new Map<string, Entry[]>()
  for (const [key, known] of Object.entries(table)) {
    groups.set(known.group, [...(groups.get(known.group) ?? []), [key, known]])
  }
  return groups
}

function valueText(known: Setting<unknown>, value: unknown): string {
  if (value === undefined) return `(${known.defaultText ?? 'not set'})`
  if (known.secret) return '(hidden)'
  if (Array.isArray(value)) return value.map(partText).join(',')
  return typeof value === 'object' && value !== null ? Object.values(value).join(',') : String(value)
}

function partText(part: unknown): string {
  return typeof part === 'object' && part !== null && 'name' in part ? String(part.name) : String(part)
}

function flagText(key: string, { kind, short, default: value }: Setting<unknown>): string {
  const dash = short === undefined ? '    ' : `-${short}, `
  if (kind.placeholder !== undefined) return `${dash}--${key} ${kind.placeholder}`
  return `${dash}--${value === true ? '[no-]' : ''}${key}`
}

function aboutText(known: Setting<unknown>): string {
  const fallback = defaultText(known)
  return fallback === '' || fallback === 'off' ? known.about : `${known.about} [${fallback}]`
}

function defaultText({ default: value, defaultText: words, kind }: Setting<unknown>): string {
  if (words !== undefined) return words
  if (kind.placeholder === undefined) return value === true ? 'on' : 'off'
  if (value === undefined) return ''
  return String(value)
}

function columns(left: string, right: string, indent: number, width: number): string[] {
  const lines = wrap(right, Math.max(20, width - indent - 2))
  const head = `  ${left}`
  const rest = lines.map((line) => ' '.repeat(indent) + line)
  if (head.length + 2 > indent) return [head, ...rest]
  return [head.padEnd(indent) + (lines[0] ?? ''), ...rest.slice(1)]
}

function wrap(words: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of words.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}
