import { adapterNames } from '../bench/targets/index.ts'
import { workloadSources } from '../bench/load-workload.ts'
import {
  choice,
  decimal,
  integer,
  optionalSetting,
  setting,
  text,
  texts,
  toggle,
  type SettingTable,
  type SettingValues,
} from '../config/setting.ts'
import { traceFormatNames } from '../workload/readers/index.ts'

const positive = decimal({ above: 0 })

/** Everything `switchyard bench` can be told. */
export const benchSettings = {
  target: optionalSetting(texts, {
    group: 'Servers',
    placeholder: 'NAME=URL',
    about:
      'Server to measure; may be given several times, for a comparison in one run. NAME:KIND=URL says what it is ' +
      `(${adapterNames.join(', ')}) where it cannot be found out.`,
  }),
  url: setting(text, {
    group: 'Servers',
    placeholder: 'URL',
    default: 'http://127.0.0.1:8000',
    about: 'The only server to measure, without a --target.',
  }),
  model: setting(text, {
    group: 'Servers',
    short: 'm',
    placeholder: 'NAME',
    default: 'auto',
    about: 'Model name; auto takes the first that each server lists.',
  }),
  'api-key': optionalSetting(text, {
    group: 'Servers',
    placeholder: 'KEY',
    secret: true,
    about: 'Bearer token.',
  }),
  workload: optionalSetting(text, {
    group: 'Workload',
    short: 'w',
    placeholder: 'FILE|NAME:KEY=VALUE,...',
    about: `What to send: ${workloadSources}.`,
    defaultText: 'equal requests, as the next three say',
  }),
  requests: setting(integer(1), { group: 'Workload', default: 64, about: 'How many equal requests.' }),
  'prompt-tokens': setting(integer(1), { group: 'Workload', default: 128, about: 'Length of each prompt.' }),
  'output-tokens': setting(integer(1), {
    group: 'Workload',
    default: 128,
    about: 'Length of each answer; the model cannot end it sooner.',
  }),
  format: optionalSetting(choice(traceFormatNames), {
    group: 'Workload',
    placeholder: 'NAME',
    about: `Format of the file: ${traceFormatNames.join(', ')}.`,
    defaultText: 'found out',
  }),
  'from-seconds': optionalSetting(decimal({ min: 0 }), {
    group: 'Workload',
    about: 'Leave out what comes earlier.',
  }),
  'to-seconds': optionalSetting(positive, { group: 'Workload', about: 'Leave out what comes from then on.' }),
  'max-requests': optionalSetting(integer(1), { group: 'Workload', about: 'Most requests.' }),
  'max-programs': optionalSetting(integer(1), { group: 'Workload', about: 'Most programs.' }),
  'sessions-per-second': optionalSetting(positive, {
    group: 'Workload',
    about: 'How fast programs start in traces that do not say.',
    defaultText: '1',
  }),
  'max-gap': optionalSetting(decimal({ min: 0 }), {
    group: 'Workload',
    about: 'Longest pause between two turns, in seconds.',
  }),
  'scale-lengths': optionalSetting(positive, {
    group: 'Workload',
    about: 'Make all lengths so many times as long; what prompts share, they still share.',
  }),
  'scale-to-tokens': optionalSetting(integer(2), {
    group: 'Workload',
    about: 'Scale lengths down until the longest request, answer included, has at most so many tokens.',
  }),
  'max-tokens': optionalSetting(integer(2), {
    group: 'Workload',
    about: 'Leave out requests that are longer, and the rest of their programs.',
  }),
  spread: setting(toggle, {
    group: 'Workload',
    default: false,
    about: 'Spread arrivals that the trace rounds to one instant.',
  }),
  rate: optionalSetting(positive, { group: 'Load', about: 'Open loop: mean requests a second.' }),
  'scale-rate': optionalSetting(positive, { group: 'Load', about: 'Open loop: so many times as fast.' }),
  concurrency: optionalSetting(integer(1), {
    group: 'Load',
    about: 'Closed loop: so many users, each sending its next request when the one before has ended.',
    defaultText: '8 without a --workload and a --rate',
  }),
  sweep: optionalSetting(texts, {
    group: 'Load',
    placeholder: 'RATE,...',
    about: 'Open loop at each of these rates, one after another.',
  }),
  rounds: setting(integer(1), {
    group: 'Load',
    default: 1,
    about: 'Serve the workload so many times on each server, taking turns.',
  }),
  history: setting(choice(['trace', 'actual']), {
    group: 'Load',
    default: 'actual',
    about:
      "What later turns of a program carry: made-up answers, or the server's own where it tells its tokens.",
  }),
  timeout: setting(positive, {
    group: 'Load',
    default: 600,
    about: 'Seconds without a byte after which a request has failed.',
  }),
  seed: setting(integer(0), {
    group: 'Load',
    default: 0,
    about: 'Seed of everything that is drawn: the same seed, the same requests.',
  }),
  'goal-ttft-ms': optionalSetting(positive, {
    group: 'Goals',
    about: 'Goodput counts requests with at most this TTFT',
  }),
  'goal-tbt-ms': optionalSetting(positive, {
    group: 'Goals',
    about: 'and 99 % of their gaps between tokens at most this',
  }),
  'goal-e2e-ms': optionalSetting(positive, {
    group: 'Goals',
    about: 'and an end-to-end time of at most this.',
  }),
  json: optionalSetting(text, {
    group: 'Output',
    placeholder: 'FILE',
    about: 'Write the report to this file; - writes it to standard output instead of the table.',
  }),
  html: optionalSetting(text, {
    group: 'Output',
    placeholder: 'FILE',
    about: 'Draw the report as one HTML page.',
  }),
  'dry-run': setting(toggle, {
    group: 'Output',
    default: false,
    about: "Show the workload's shape and send nothing.",
  }),
  force: setting(toggle, {
    group: 'Output',
    default: false,
    about: 'Report even when the client was the bottleneck.',
  }),
} as const satisfies SettingTable

export type BenchSettings = SettingValues<typeof benchSettings>
