/** `switchyard tune`: settings that serve a workload better, found by simulating it, and judged by a part not seen. */
import { stringify } from 'yaml'
import type { TargetFigures } from '../bench/bench-report.ts'
import { figuresOf } from '../bench/figures.ts'
import { prepareWorkload } from '../bench/prepare-workload.ts'
import type { CommandLine } from '../config/command-line.ts'
import { resolveSettings } from '../config/resolve.ts'
import { ServingError } from '../core/errors.ts'
import {
  changesOf,
  searchSettings,
  withSetting,
  type Candidate,
  type SearchResult,
} from '../simulator/tuning/search.ts'
import { sliceWorkload } from '../workload/transforms/slice.ts'
import type { Workload } from '../workload/workload.ts'
import { goalsOf, workloadOptions } from './bench.ts'
import type { Command } from './command.ts'
import { openLatency, type LatencySource } from './latency-source.ts'
import { checkOutputs, writeOutput } from './output-file.ts'
import { simulateSettings } from './simulate-settings.ts'
import { simulateWorkload } from './simulated-run.ts'
import { scoreOf, tuneGoals, type TuneGoal } from './tune-goal.ts'
import { describeCandidate, tuneReport, verifiedReport, type Judged, type Verified } from './tune-report.ts'
import { tuneSettings, type TuneSettings } from './tune-settings.ts'
import { tuneSpace } from './tune-space.ts'
import { serveCandidate } from './tune-verify.ts'

export const tune: Command = {
  usage: '--latency FILE -w WORKLOAD [options]',
  about:
    'Looks for settings that serve a workload better than those given, by simulating it with one setting after the\n' +
    'other changed. What is found is judged by the end of the workload, which the search does not see.',
  options: tuneSettings,
  notes:
    'Examples:\n' +
    '  switchyard tune --latency machine.json -w conv.csv --rate 4 --goal goodput --goal-ttft-ms 500\n' +
    '  switchyard tune --latency machine.json -w agents:programs=200 --goal ttft-p99 --verify 2 --model model.gguf',
  run,
}

/** One search: what is tried, and on what. */
export interface Tuning {
  readonly line: CommandLine
  readonly values: TuneSettings
  readonly goal: TuneGoal
  readonly source: LatencySource
}

async function run(line: CommandLine): Promise<number> {
  if (line.positionals.length > 0)
    throw new ServingError('INVALID_CONFIG', `Unexpected argument "${line.positionals[0]}".`)
  const { values } = resolveSettings(tuneSettings, line)
  refuseWhatCannotBe(values)
  const tuning: Tuning = { line, values, goal: tuneGoals[values.goal], source: openLatency(values.latency) }
  await checkOutputs([values.out])
  const { workload, remarks } = await prepareWorkload(workloadOptions(values))
  for (const remark of remarks) process.stderr.write(`${remark}\n`)
  const { seen, heldOut } = split(workload, values.heldOut)
  const result = search(tuning, seen)
  const judged = judge(tuning, result, heldOut)
  process.stdout.write(tuneReport(tuning.goal, judged))
  const config = stringify(
    Object.fromEntries(Object.entries(judged.chosen).map(([name, value]) => [name, plain(value)])),
  )
  const found = judged.isBetter ? config : '# The settings as they are: nothing to change.\n'
  process.stdout.write(`\n${found}`)
  if (values.out !== undefined) await writeOutput(values.out, found)
  if (values.verify !== undefined) await verify(tuning, { result, judged, heldOut })
  return 0
}

/** Numbers are numbers in YAML too. */
const plain = (text: string): string | number => (/^\d+(\.\d+)?$/.test(text) ? Number(text) : text)

function refuseWhatCannotBe(values: TuneSettings): void {
  const refuse = (message: string): never => {
    throw new ServingError('INVALID_CONFIG', message)
  }
  const hasGoals = Object.keys(goalsOf(values)).length > 0
  if (values.goal === 'goodput' && !hasGoals)
    refuse('Goodput needs goals: --goal-ttft-ms, --goal-tbt-ms or --goal-e2e-ms.')
  if (values.verify !== undefined && values.model === undefined) refuse('--verify needs --model FILE.')
  if (values.heldOut >= 1) refuse('--held-out must be less than 1.')
}

function split(workload: Workload, heldOut: number): { readonly seen: Workload; readonly heldOut: Workload } {
  const starts = workload.requests.filter(({ turn, after }) => turn === 0 && after === undefined)
  const cut = starts[Math.floor(starts.length * (1 - heldOut))]
  if (cut === undefined || cut.arrival === 0)
    throw new ServingError(
      'INVALID_CONFIG',
      'The workload cannot be cut in two: too few requests, or all at once.',
    )
  const seconds = cut.arrival / 1e6
  return {
    seen: sliceWorkload(workload, { toSeconds: seconds }),
    heldOut: sliceWorkload(workload, { fromSeconds: seconds }),
  }
}

/** The settings that were given, where `tune` may change them. */
function givenOf({ line }: Tuning): Candidate {
  const names = tuneSpace.map(({ name }) => name)
  return Object.fromEntries([...line.flags].filter(([name]) => names.includes(name)))
}

function figuresWith(
  { line, values, source }: Tuning,
  candidate: Candidate,
  workload: Workload,
): TargetFigures {
  const flags = new Map([...line.flags].filter(([name]) => !tuneSpace.some((knob) => knob.name === name)))
  for (const [name, value] of Object.entries(candidate)) flags.set(name, value)
  const settings = resolveSettings(simulateSettings, { flags }).values
  return figuresOf(simulateWorkload(settings, source, workload).records, goalsOf(values))
}

function search(tuning: Tuning, seen: Workload): SearchResult {
  const start = givenOf(tuning)
  const before = figuresWith(tuning, start, seen)
  const floor = before.outputTokensPerSecond * tuning.values.leastThroughput
  let numTried = 0
  return searchSettings({
    knobs: tuneSpace,
    start,
    leastGain: tuning.values.leastGain,
    scoreOf(candidate) {
      if (process.stderr.isTTY) process.stderr.write(`\r${++numTried} tried`)
      return scoreOf(tuning.goal, figuresWith(tuning, candidate, seen), floor)
    },
  })
}

/** What the result would be without each of its changes. */
function changesBetween(
  start: Candidate,
  found: Candidate,
): readonly { readonly name: string; readonly candidate: Candidate }[] {
  return changesOf(start, found).map((name) => ({ name, candidate: withSetting(found, name, start[name]) }))
}

function judge(tuning: Tuning, { start, best, tried }: SearchResult, heldOut: Workload): Judged {
  const { goal, values } = tuning
  const before = figuresWith(tuning, start.candidate, heldOut)
  const after = figuresWith(tuning, best.candidate, heldOut)
  const floor = before.outputTokensPerSecond * values.leastThroughput
  const isBetter = scoreOf(goal, after, floor) > scoreOf(goal, before, floor)
  const sign = goal.isLessBetter ? -1 : 1
  if (process.stderr.isTTY) process.stderr.write('\n')
  return {
    numTried: tried.length,
    start: start.candidate,
    found: best.candidate,
    chosen: isBetter ? best.candidate : start.candidate,
    isBetter,
    seen: { start: sign * start.score, found: sign * best.score },
    heldOut: { start: goal.valueOf(before), found: goal.valueOf(after) },
    without: changesBetween(start.candidate, best.candidate).map(({ name, candidate }) => ({
      name,
      value: goal.valueOf(figuresWith(tuning, candidate, heldOut)),
    })),
  }
}

/** The best settings on the real engine, beside those as they are. */
async function verify(
  tuning: Tuning,
  {
    result,
    judged,
    heldOut,
  }: { readonly result: SearchResult; readonly judged: Judged; readonly heldOut: Workload },
): Promise<void> {
  const { goal, values } = tuning
  const best = result.tried.filter(
    ({ candidate }) => candidate !== judged.found && candidate !== judged.start,
  )
  const others = best.slice(0, values.verify! - 1).map(({ candidate }) => candidate)
  const candidates = [judged.start, ...(judged.found === judged.start ? [] : [judged.found]), ...others]
  const verified: Verified[] = []
  for (const candidate of candidates) {
    process.stderr.write(`Serving with ${describeCandidate(candidate)}\n`)
    const figures = await serveCandidate(values, candidate, heldOut)
    const predicted = goal.valueOf(figuresWith(tuning, candidate, heldOut))
    verified.push({ candidate, predicted, measured: goal.valueOf(figures) })
  }
  process.stdout.write(`\n${verifiedReport(goal, verified)}`)
}
