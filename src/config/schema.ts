/** The settings of the server: the one place where a key, its flag, its environment name and its default live. */
import { fileURLToPath } from 'node:url'

import type { CacheType } from '../executor/executor-options.ts'
import { defaultServiceClasses } from '../core/service-class.ts'
import { devices } from '../ggml/platform.ts'
import { evictionNames } from '../kvcache/eviction/index.ts'
import { policyNames } from '../scheduler/policies/index.ts'
import { reasoningParserNames } from '../text/output/dialect.ts'
import { toolFamilyNames } from '../text/output/families/index.ts'
import { serviceClasses } from './service-classes.ts'
import { tokenPrices } from './token-prices.ts'
import {
  bytes,
  choice,
  decimal,
  integer,
  optionalSetting,
  powerOfTwo,
  setting,
  text,
  texts,
  toggle,
  type SettingTable,
  type SettingValues,
} from './setting.ts'

/** The model that comes with the package; the same place from `src` and from `dist`. */
export const bundledModel = fileURLToPath(
  new URL('../../models/yardling/yardling-q8_0.gguf', import.meta.url),
)

const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const

const cacheTypes = ['f16', 'q8_0', 'q4_0'] as const satisfies readonly CacheType[]

export const settings = {
  model: setting(text, {
    group: 'Model',
    short: 'm',
    placeholder: 'FILE',
    default: bundledModel,
    defaultText: 'the bundled Yardling',
    about: 'GGUF file to serve (architectures llama, qwen2, qwen3).',
  }),
  'served-model-name': optionalSetting(texts, {
    group: 'Model',
    placeholder: 'NAME,...',
    defaultText: 'the file name without .gguf',
    about: 'Names that clients may give as "model"; the first one is shown.',
  }),
  'max-model-len': optionalSetting(integer(2), {
    group: 'Model',
    defaultText: 'what the model was trained for',
    about: 'Longest sequence in tokens, prompt and answer together.',
  }),
  'tool-parser': setting(choice(['auto', ...toolFamilyNames]), {
    group: 'Model',
    default: 'auto',
    about: 'How the model calls tools. auto: as its chat template says (docs/tools.md).',
  }),
  'reasoning-parser': setting(choice(reasoningParserNames), {
    group: 'Model',
    default: 'auto',
    about:
      'Which tags the model reasons in, to give reasoning apart from the answer. auto: those of its chat template.',
  }),
  pooling: setting(choice(['auto', 'mean', 'last', 'cls']), {
    group: 'Model',
    default: 'auto',
    about: "How texts become vectors (/v1/embeddings). auto: as the model's file says, else their mean.",
  }),
  device: setting(choice(devices), {
    group: 'Device',
    default: 'auto',
    about: 'Where to compute. auto: an installed accelerator package, else the CPU.',
  }),
  threads: optionalSetting(integer(1, 1024), {
    group: 'Device',
    short: 't',
    defaultText: 'one per core',
    about: 'CPU threads of the kernels.',
  }),
  'batch-invariant': setting(toggle, {
    group: 'Device',
    default: false,
    about:
      'Compute each sequence the same way whatever else is in the step, where the kernels allow it. Slower.',
  }),
  'kv-cache-tokens': optionalSetting(integer(1), {
    group: 'KV cache',
    defaultText: 'from the model, up to about 1 GiB',
    about: 'Size of the KV cache in tokens, over all sequences.',
  }),
  'block-size': setting(powerOfTwo(1, 4096), {
    group: 'KV cache',
    default: 32,
    about: 'Tokens per block of the KV cache; a power of two.',
  }),
  'cache-type-k': setting(choice(cacheTypes), {
    group: 'KV cache',
    default: 'f16',
    about: 'Type of the keys in the cache.',
  }),
  'cache-type-v': setting(choice(cacheTypes), {
    group: 'KV cache',
    default: 'f16',
    about: 'Type of the values in the cache.',
  }),
  'cache-rotate': setting(toggle, {
    group: 'KV cache',
    default: false,
    about:
      'Rotate keys and values before they are stored: less error where a quantised cache meets outliers.',
  }),
  'prefix-cache': setting(toggle, {
    group: 'KV cache',
    default: true,
    about: 'Keep what was computed, and share it with requests that begin alike.',
  }),
  'kv-eviction': setting(choice(evictionNames), {
    group: 'KV cache',
    default: 'value',
    about:
      'What of the prefix cache goes first. value: what costs least to compute again and is least wanted; lru: what was used longest ago.',
  }),
  'kv-host': setting(bytes, {
    group: 'KV cache',
    default: 0,
    about:
      'Memory of the host for blocks that an accelerator has no room for. On a CPU, make the KV cache larger instead.',
  }),
  'kv-disk': setting(bytes, {
    group: 'KV cache',
    default: 0,
    about:
      'Size of a file for blocks that have no room in memory: who comes back reads them instead of computing them again. ' +
      'Needs the prefix cache.',
  }),
  'kv-disk-dir': optionalSetting(text, {
    group: 'KV cache',
    placeholder: 'DIR',
    defaultText: '~/.switchyard/kv',
    about: 'Folder of that file. It holds what users said: only you should be able to read it.',
  }),
  'kv-disk-keep': setting(toggle, {
    group: 'KV cache',
    default: false,
    about: 'Keep that file when the server ends, and start with it, if model and settings are the same.',
  }),
  'max-num-seqs': setting(integer(1, 4096), {
    group: 'Scheduling',
    default: 64,
    about: 'Most sequences in one step; further ones wait.',
  }),
  'max-num-batched-tokens': setting(integer(1, 65_536), {
    group: 'Scheduling',
    default: 512,
    about: 'Most tokens in one step, prompts and answers together.',
  }),
  'max-tbt-ms': optionalSetting(decimal({ above: 0 }), {
    group: 'Scheduling',
    placeholder: 'MS',
    defaultText: 'no target',
    about:
      'Keep the time between two tokens of a running answer under this by cutting prompts into smaller pieces.',
  }),
  policy: setting(choice(policyNames), {
    group: 'Scheduling',
    default: 'fair+slo+program',
    about: 'Who runs next, and who gives up memory and places: see docs/scheduling.md.',
  }),
  'service-classes': setting(serviceClasses, {
    group: 'Scheduling',
    default: defaultServiceClasses,
    defaultText: 'default, priority, flex, batch',
    about:
      'Classes for "service_tier", as YAML: {chat: {ttft-ms: 500, tbt-ms: 80, weight: 8}, bulk: {ttft-ms: 60000, yields: true}}. The first is meant when a request names none.',
  }),
  'token-prices': setting(tokenPrices, {
    group: 'Scheduling',
    default: { prompt: 1, cached: 0.1, output: 2 },
    defaultText: '1,0.1,2',
    about:
      'What a prompt token, a cached prompt token and an output token count where tenants are served fairly.',
  }),
  'locality-tokens': setting(integer(0), {
    group: 'Scheduling',
    default: 0,
    about:
      'So many weighted tokens may a tenant fall behind so that a prompt that is cached goes first. 0: fairness alone.',
  }),
  'max-queue-requests': setting(integer(1), {
    group: 'Admission',
    default: 8192,
    about: 'Most answers that wait or run at one time; further requests get 429.',
  }),
  'max-queue-tokens': setting(integer(1), {
    group: 'Admission',
    default: 16_000_000,
    about: 'Most tokens that these may come to, prompts and answers together.',
  }),
  'max-tenant-requests': optionalSetting(integer(1), {
    group: 'Admission',
    defaultText: 'as many as there may be',
    about: 'Most answers of one tenant that wait or run, where its key does not say otherwise.',
  }),
  'max-tenant-tokens': optionalSetting(integer(1), {
    group: 'Admission',
    defaultText: 'as many as there may be',
    about: 'Most tokens that the answers of one tenant may come to, where its key does not say otherwise.',
  }),
  'refuse-late': setting(toggle, {
    group: 'Admission',
    default: false,
    about:
      'Refuse at once, with 429, what is predicted to miss the time to first token of its class. Requests with "metadata": {"ttft_ms": N} always ask for that.',
  }),
  'late-factor': setting(decimal({ min: 1 }), {
    group: 'Admission',
    default: 1.5,
    about: 'How many times its target the predicted time to first token must be for a request to be refused.',
  }),
  host: setting(text, {
    group: 'Server',
    placeholder: 'ADDRESS',
    default: '127.0.0.1',
    about: 'Address to listen on. 0.0.0.0 lets other machines in: set --api-key then.',
  }),
  port: setting(integer(0, 65_535), {
    group: 'Server',
    default: 8000,
    about: 'Port to listen on; 0 takes a free one.',
  }),
  'api-key': optionalSetting(text, {
    group: 'Server',
    placeholder: 'KEY',
    secret: true,
    defaultText: 'none: everybody is let in',
    about:
      'Key that clients must send as a bearer token. Prefer the environment: other users see command lines.',
  }),
  'api-keys': optionalSetting(text, {
    group: 'Server',
    placeholder: 'FILE',
    defaultText: 'none',
    about:
      'YAML file of keys by their SHA-256, with name, weight, classes and limits of each; read again on SIGHUP.',
  }),
  'max-body-bytes': setting(integer(1024), {
    group: 'Server',
    default: 16 * 1024 * 1024,
    about: 'Largest request body that is read.',
  }),
  'max-messages': setting(integer(1), {
    group: 'Server',
    default: 2048,
    about: 'Most messages in one chat request.',
  }),
  'max-choices': setting(integer(1, 1024), {
    group: 'Server',
    default: 16,
    about: 'Largest "n": answers to one request.',
  }),
  'response-store': setting(bytes, {
    group: 'Server',
    default: 64 * 1024 * 1024,
    about:
      'Memory for responses that "previous_response_id" may continue; the oldest go first. 0: nothing is stored.',
  }),
  record: optionalSetting(text, {
    group: 'Server',
    placeholder: 'FILE',
    defaultText: 'nothing is recorded',
    about:
      'Write the shape of each request to this new file, for replay: arrival, lengths, and salted hashes of who ' +
      'asked and of the blocks of the prompt. No text, no tokens.',
  }),
  'record-plans': optionalSetting(text, {
    group: 'Server',
    placeholder: 'FILE',
    defaultText: 'nothing is recorded',
    about:
      'Write every step to this new file, for "switchyard replay": what the scheduler was told, what it planned, ' +
      'how long that took. Tokens are replaced by salted hashes.',
  }),
  profile: optionalSetting(text, {
    group: 'Server',
    placeholder: 'FILE',
    defaultText: 'none is written',
    about:
      "Write where each step's time goes to this new file, a timeline for ui.perfetto.dev; " +
      '"switchyard profile --trace FILE" sums it up. See docs/profile.md.',
  }),
  'max-timelines': setting(integer(0), {
    group: 'Server',
    default: 1000,
    about: 'Of how many requests, the last ones, GET /v1/requests/ID/timeline tells where their time went.',
  }),
  'data-dir': optionalSetting(text, {
    group: 'Files and batches',
    placeholder: 'DIR',
    defaultText: 'a temporary one, until the server ends',
    about:
      'Folder that keeps files and batches, so that a batch goes on after a restart. One server at a time.',
  }),
  'max-file-bytes': setting(bytes, {
    group: 'Files and batches',
    default: 200 * 1024 * 1024,
    defaultText: '200M',
    about: 'Largest file that is taken.',
  }),
  'max-batch-lines': setting(integer(1), {
    group: 'Files and batches',
    default: 50_000,
    about: 'Most requests in one batch.',
  }),
  'max-batch-in-flight': setting(integer(1), {
    group: 'Files and batches',
    default: 128,
    about:
      'Most requests of batches that wait or run in the engine at one time; fewer while there is other traffic.',
  }),
  'log-level': setting(choice(logLevels), {
    group: 'Server',
    default: 'info',
    about: 'How much is written to standard error.',
  }),
} as const satisfies SettingTable

/** All settings of a server, checked and with defaults filled in. */
export type Config = SettingValues<typeof settings>
