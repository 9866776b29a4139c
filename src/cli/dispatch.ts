/** Picks the verb and runs it, or shows help. */
import { parseCommandLine } from '../config/command-line.ts'
import { didYouMean } from '../config/suggest.ts'
import { ServingError } from '../core/errors.ts'
import { libraryPackageVersion } from '../ggml/platform.ts'
import { commandHelp, helpOption, type Command } from './command.ts'
import { packageVersion } from './package-info.ts'
import { terminalWidth } from './terminal.ts'

interface Verb {
  readonly summary: string
  /** Verbs are loaded when they are asked for: help must not open a model's libraries. */
  load(): Promise<Command>
}

const verbs: Readonly<Record<string, Verb>> = {
  serve: {
    summary: 'Serve a model over an OpenAI-compatible API',
    load: async () => (await import('./serve.ts')).serve,
  },
  chat: {
    summary: 'Talk to a model in the terminal',
    load: async () => (await import('./chat.ts')).chat,
  },
  batch: {
    summary: 'Answer a file of requests, without a server',
    load: async () => (await import('./batch.ts')).batch,
  },
  bench: {
    summary: 'Measure latency and throughput of any OpenAI-compatible server',
    load: async () => (await import('./bench.ts')).bench,
  },
  report: {
    summary: 'Draw reports of bench as one HTML page, side by side',
    load: async () => (await import('./report.ts')).report,
  },
  simulate: {
    summary: 'Serve a workload on engines that exist as figures alone',
    load: async () => (await import('./simulate.ts')).simulate,
  },
  calibrate: {
    summary: 'Measure how long steps take here, for simulate',
    load: async () => (await import('./calibrate.ts')).calibrate,
  },
  tune: {
    summary: 'Look for settings that serve a workload better, by simulating it',
    load: async () => (await import('./tune.ts')).tune,
  },
  profile: {
    summary: "Find where the time of an engine's steps goes",
    load: async () => (await import('./profile.ts')).profile,
  },
  replay: {
    summary: 'Plan a recorded run again, and say why a step was planned as it was',
    load: async () => (await import('./replay.ts')).replay,
  },
  setup: {
    summary: 'Install the kernels for an accelerator',
    load: async () => (await import('./setup.ts')).setup,
  },
}

const ownVerbs = { version: 'Show the version', help: 'Show this, or the help of a verb' } as const

/** The exit status. @throws {ServingError} INVALID_CONFIG for a command line that makes no sense. */
export async function dispatch(args: readonly string[], write: (text: string) => void): Promise<number> {
  const show = (text: string): number => {
    write(text)
    return 0
  }
  const [first, ...rest] = args
  if (first === undefined || first === '--help' || first === '-h') return show(overview())
  if (first === 'help') return rest[0] === undefined ? show(overview()) : runVerb(rest[0], ['--help'], show)
  if (first === 'version' || first === '--version' || first === '-v') return show(versionText())
  return runVerb(first, rest, show)
}

async function runVerb(
  name: string,
  args: readonly string[],
  show: (text: string) => number,
): Promise<number> {
  const verb = Object.hasOwn(verbs, name) ? verbs[name] : undefined
  if (verb === undefined) {
    if (name in ownVerbs) return show(overview())
    const known = [...Object.keys(verbs), ...Object.keys(ownVerbs)]
    throw new ServingError(
      'INVALID_CONFIG',
      `Unknown command "${name}".${didYouMean(name, known) || ' See: switchyard help'}`,
    )
  }
  const command = await verb.load()
  const line = parseCommandLine({ ...command.options, ...helpOption }, args)
  if (line.flags.get('help') === 'true') {
    return show(commandHelp(name, command, terminalWidth(process.stdout)))
  }
  return command.run(line)
}

function overview(): string {
  const rows = [
    ...Object.entries(verbs).map(([name, { summary }]) => [name, summary] as const),
    ...Object.entries(ownVerbs),
  ]
  const list = rows.map(([name, summary]) => `  ${name.padEnd(11)}${summary}\n`).join('')
  return `Usage: switchyard <command> [options]\n\nCommands:\n${list}\nOptions of a command: switchyard <command> --help\n`
}

function versionText(): string {
  return `switchyard ${packageVersion()} (ggml libraries ${libraryPackageVersion}, Node.js ${process.version})\n`
}
