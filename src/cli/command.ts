/** What a verb is to `main.ts`: its options, its help, and what it does. */
import type { CommandLine } from '../config/command-line.ts'
import { optionsHelp } from '../config/describe.ts'
import { setting, toggle, type SettingTable } from '../config/setting.ts'

export interface Command {
  /** What follows `switchyard <verb>`. */
  readonly usage: string
  readonly about: string
  readonly options: SettingTable
  /** Examples and remarks after the options. */
  readonly notes?: string
  /** The exit status. Throws a ServingError for what a user can put right. */
  run(line: CommandLine): Promise<number>
}

/** Every verb has it; `main.ts` acts on it. */
export const helpOption = {
  help: setting(toggle, { short: 'h', group: 'Help', default: false, about: 'Show this.' }),
} as const satisfies SettingTable

export function commandHelp(verb: string, command: Command, width: number): string {
  const parts = [
    `Usage: switchyard ${verb}${command.usage === '' ? '' : ` ${command.usage}`}`,
    command.about,
    optionsHelp({ ...command.options, ...helpOption }, width),
    ...(command.notes === undefined ? [] : [command.notes]),
  ]
  return `${parts.join('\n\n')}\n`
}
