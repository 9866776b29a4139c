import { settings } from '../config/schema.ts'
import {
  integer,
  optionalSetting,
  setting,
  text,
  without,
  type SettingTable,
  type SettingValues,
} from '../config/setting.ts'
import { benchSettings } from './bench-settings.ts'

const load = without(
  benchSettings,
  'target',
  'url',
  'model',
  'api-key',
  'timeout',
  'rounds',
  'sweep',
  'requests',
  'output-tokens',
  'goal-ttft-ms',
  'goal-tbt-ms',
  'goal-e2e-ms',
  'json',
  'html',
  'dry-run',
  'force',
)

const served = without(settings, 'profile', 'record-plans', 'record', 'port', 'host', 'log-level')

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
