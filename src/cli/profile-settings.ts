import { settings } from '../config/schema.ts'
import {
  integer,
  optionalSetting,
  setting,
  text,
  type SettingTable,
  type SettingValues,
} from '../config/setting.ts'
import { benchSettings } from './bench-settings.ts'

const {
  target: _target,
  url: _url,
  model: _model,
  'api-key': _apiKey,
  timeout: _timeout,
  rounds: _rounds,
  sweep: _sweep,
  requests: _requests,
  'output-tokens': _outputTokens,
  'goal-ttft-ms': _goalTtftMs,
  'goal-tbt-ms': _goalTbtMs,
  'goal-e2e-ms': _goalE2eMs,
  json: _json,
  html: _html,
  'dry-run': _dryRun,
  force: _force,
  ...load
} = benchSettings

const {
  profile: _profile,
  'record-plans': _recordPlans,
  record: _record,
  port: _port,
  host: _host,
  'log-level': _logLevel,
  ...served
} = settings

/** What `switchyard profile` can be told: the server as serve has it, the workload as bench has it. */
export const profileSettings = {
  out: setting(text, {
    group: 'Profile',
    placeholder: 'FILE',
    default: 'profile.json',
    about: 'New file for the timeline, to be opened at https://ui.perfetto.dev.',
  }),
  trace: optionalSetting(text, {
    group: 'Profile',
    placeholder: 'FILE',
    about: 'Sum up a timeline that serve --profile wrote, instead of running anything.',
  }),
  ...load,
  workload: optionalSetting(text, {
    group: 'Workload',
    short: 'w',
    placeholder: 'FILE|NAME:KEY=VALUE,...',
    about: benchSettings.workload.about,
    defaultText: '1, 2, 4 ... 32 equal requests at once',
  }),
  'output-tokens': setting(integer(1), {
    group: 'Workload',
    default: 64,
    about: benchSettings['output-tokens'].about,
  }),
  ...served,
} as const satisfies SettingTable

export type ProfileSettings = SettingValues<typeof profileSettings>
