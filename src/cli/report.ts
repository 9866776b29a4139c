/** `switchyard report`: draws the page of one or several bench reports, side by side. */
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'

import { renderReports } from '../bench/html/render-report.ts'
import { parseBenchReport } from '../bench/parse-bench-report.ts'
import type { CommandLine } from '../config/command-line.ts'
import { resolveSettings } from '../config/resolve.ts'
import { optionalSetting, text, type SettingTable } from '../config/setting.ts'
import { reasonOf, ServingError } from '../core/errors.ts'
import type { Command } from './command.ts'
import { writeOutput } from './output-file.ts'

const options = {
  html: optionalSetting(text, {
    placeholder: 'OUT',
    about: 'Write the page to this file; - writes it to standard output.',
    defaultText: 'the name of the first FILE, with .html',
  }),
} as const satisfies SettingTable

export const report: Command = {
  usage: 'FILE.json... [--html OUT]',
  about:
    'Draws reports that `switchyard bench --json` wrote as one HTML page that needs no network.\n' +
    'The targets of several files stand side by side.',
  options,
  run,
}

async function run(line: CommandLine): Promise<number> {
  const { html } = resolveSettings(options, line).values
  const paths = line.positionals
  if (paths[0] === undefined) {
    throw new ServingError('INVALID_CONFIG', 'A file is missing: switchyard report FILE.json')
  }
  const labels = shortNames(paths)
  const sources = await Promise.all(
    paths.map(async (path, index) => ({
      label: paths.length === 1 ? undefined : labels[index],
      report: parseBenchReport(await read(path), path),
    })),
  )
  const page = renderReports(sources)
  if (html === '-') {
    process.stdout.write(page)
    return 0
  }
  const out = html ?? `${paths[0].replace(/\.json$/i, '')}.html`
  await writeOutput(out, page)
  process.stdout.write(`Wrote ${out}\n`)
  return 0
}

/** File names without folder and ending, unless two would be the same. */
function shortNames(paths: readonly string[]): readonly string[] {
  const names = paths.map((path) => basename(path).replace(/\.json$/i, ''))
  return new Set(names).size === names.length ? names : paths
}

async function read(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((cause: unknown) => {
    throw new ServingError('INVALID_CONFIG', `${path}: cannot be read (${reasonOf(cause)}).`, { cause })
  })
}
