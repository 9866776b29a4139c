import { settings } from '../config/schema.ts'
import {
  choice,
  integer,
  optionalSetting,
  setting,
  text,
  without,
  type SettingTable,
  type SettingValues,
} from '../config/setting.ts'
import { routingNames } from '../fleet/routing/index.ts'
import { benchSettings } from './bench-settings.ts'

const shared = without(
  benchSettings,
  'target',
  'url',
  'model',
  'api-key',
  'timeout',
  'rounds',
  'sweep',
  'dry-run',
  'force',
)

/** What `switchyard simulate` can be told: the workload as bench has it, the engine as serve has it. */
export const simulateSettings = {
  latency: setting(text, {
    group: 'Machine',
    placeholder: 'FILE|roofline:device=NAME,model=FILE',
    default: 'roofline:device=h100-sxm,model=llama-3.1-8b',
    about: 'How long steps take: a file of switchyard calibrate, or a device and a model by their figures.',
  }),
  engines: setting(integer(1, 100_000), { group: 'Machine', default: 1, about: 'How many engines.' }),
  routing: setting(choice(routingNames), {
    group: 'Machine',
    default: 'prefix-affinity',
    about: 'Which engine gets a request.',
  }),
  ...shared,
  repeat: setting(integer(1), {
    group: 'Workload',
    default: 1,
    about: 'Send the workload so many times, one behind the other, with prompts that are new each time.',
  }),
  'max-model-len': settings['max-model-len'],
  'kv-cache-tokens': optionalSetting(integer(1), {
    group: 'KV cache',
    defaultText: 'as calibrated, or what fits beside the weights',
    about: 'Size of the KV cache of each engine in tokens.',
  }),
  'block-size': settings['block-size'],
  'prefix-cache': settings['prefix-cache'],
  'kv-eviction': settings['kv-eviction'],
  'max-num-seqs': settings['max-num-seqs'],
  'max-num-batched-tokens': settings['max-num-batched-tokens'],
  'max-tbt-ms': settings['max-tbt-ms'],
  policy: settings['policy'],
  'service-classes': settings['service-classes'],
  'token-prices': settings['token-prices'],
  'locality-tokens': settings['locality-tokens'],
} as const satisfies SettingTable

export type SimulateSettings = SettingValues<typeof simulateSettings>
