/** `switchyard replay`: plans a recorded run again, and says why a step was planned as it was. */
import type { CommandLine } from '../config/command-line.ts'
import { resolveSettings } from '../config/resolve.ts'
import { integer, optionalSetting, type SettingTable } from '../config/setting.ts'
import { ServingError } from '../core/errors.ts'
import { explainStep, snapshot } from '../simulator/replay/explain-step.ts'
import type { PlanLogHeader, PlanLogLine } from '../simulator/replay/plan-log.ts'
import { PlanReplay } from '../simulator/replay/replay-plans.ts'
import type { Command } from './command.ts'
import { readPlanLog } from './plan-log-file.ts'

const options = {
  step: optionalSetting(integer(1), {
    placeholder: 'N',
    about: 'Say why step N was planned as it was, and leave.',
  }),
} as const satisfies SettingTable

export const replay: Command = {
  usage: 'FILE [--step N]',
  about:
    'Plans a run again that `switchyard serve --record-plans FILE` wrote down, and compares plan by plan.\n' +
    'The exit status is 1 where one differs: then this is not the scheduler that planned it.',
  options,
  run,
}

const mostShown = 5

async function run(line: CommandLine): Promise<number> {
  const { step } = resolveSettings(options, line).values
  const [path, ...others] = line.positionals
  if (path === undefined || others.length > 0) {
    throw new ServingError('INVALID_CONFIG', 'Expected one file: switchyard replay FILE')
  }
  try {
    return await replayFile(path, step)
  } catch (error) {
    if (error instanceof ServingError) throw new ServingError(error.code, `${path}: ${error.message}`)
    throw error
  }
}

async function replayFile(path: string, step: number | undefined): Promise<number> {
  let numPlans = 0
  let numDifferent = 0
  const differing: string[] = []
  let run: { readonly header: PlanLogHeader; readonly replay: PlanReplay } | undefined
  for await (const value of readPlanLog(path)) {
    if (run === undefined) {
      const header = value as PlanLogHeader
      run = { header, replay: new PlanReplay(header) }
      continue
    }
    const line = value as PlanLogLine
    const before = 'plan' in line && step !== undefined ? snapshot(run.replay) : undefined
    const planned = run.replay.apply(line)
    if (planned === undefined) continue
    const { plan } = planned
    if (plan !== undefined && plan.step === step && 'plan' in line) {
      process.stdout.write(explainStep(run.replay, run.header, { plan, at: line.at, before: before! }))
      process.stdout.write(`Recorded: ${planned.recorded}\n`)
      return planned.recorded === planned.replayed ? 0 : 1
    }
    numPlans += 1
    if (planned.recorded === planned.replayed) continue
    numDifferent += 1
    if (differing.length < mostShown) {
      differing.push(
        `line ${planned.line}\n  recorded: ${planned.recorded}\n  replayed: ${planned.replayed}\n`,
      )
    }
  }
  if (step !== undefined) throw new ServingError('INVALID_CONFIG', `has no step ${step}`)
  process.stdout.write(differing.join(''))
  process.stdout.write(`${numPlans} plans, ${numDifferent} different from the recorded ones.\n`)
  return numDifferent === 0 ? 0 : 1
}
