import { settings } from '../config/schema.ts'
import {
  choice,
  decimal,
  integer,
  optionalSetting,
  setting,
  text,
  without,
  type SettingTable,
  type SettingValues,
} from '../config/setting.ts'
import { simulateSettings } from './simulate-settings.ts'
import { tuneGoalNames } from './tune-goal.ts'

const simulated = without(simulateSettings, 'engines', 'routing', 'repeat', 'json', 'html')

/** What `switchyard tune` can be told: a machine, a workload, where to begin, and what is to become better. */
export const tuneSettings = {
  goal: setting(choice(tuneGoalNames), {
    group: 'Tuning',
    default: 'goodput',
    about:
      'What to make better: requests a second that keep the goals; the 99th percentile of TTFT; or how evenly tenants are served.',
  }),
  'least-throughput': setting(decimal({ min: 0 }), {
    group: 'Tuning',
    default: 0.95,
    about: 'Output tokens a second to keep, as a share of what the settings as they are give.',
  }),
  'least-gain': setting(decimal({ min: 0 }), {
    group: 'Tuning',
    default: 0.02,
    about: 'A setting is changed for no less, as a share: smaller differences are chance.',
  }),
  'held-out': setting(decimal({ above: 0 }), {
    group: 'Tuning',
    default: 0.4,
    about: 'Share of the workload, at its end, that the search does not see and the result is judged by.',
  }),
  out: optionalSetting(text, {
    group: 'Tuning',
    placeholder: 'FILE',
    about: 'Write the settings to this file, for serve --config.',
  }),
  verify: optionalSetting(integer(1, 16), {
    group: 'Tuning',
    placeholder: 'N',
    about:
      'Serve the held-out part on the real engine too, with the best N settings and with those as they are.',
  }),
  model: optionalSetting(text, {
    group: 'Tuning',
    placeholder: 'FILE',
    about: 'The model to verify with, which the machine was calibrated with.',
  }),
  threads: settings.threads,
  ...simulated,
} as const satisfies SettingTable

export type TuneSettings = SettingValues<typeof tuneSettings>
