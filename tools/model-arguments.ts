/** The command line of `make-model.ts`. */
import { parseArgs } from 'node:util'

import { ServingError } from '../src/core/errors.ts'
import type { ModelOptions } from './make-model.ts'
import { ropeScalings } from './rope-options.ts'

export const usage = `Makes a GGUF model with random weights and a real vocabulary.

  npx tsx tools/make-model.ts --arch qwen2 --layers 24 --width 896 --heads 14 --kv-heads 2 --ffn 4864 \\
    --type Q4_0 --out model.gguf

  --arch NAME          llama, qwen2 or qwen3
  --layers, --width, --heads, --kv-heads, --ffn N
  --head-dim N         elements of a head (width / heads)
  --context N          tokens (32768)
  --vocab FILE         a GGUF file to take the tokenizer from (the bundled model)
  --pad-vocab N        append unused tokens until there are N
  --type TYPE          of all matrices: F32, F16, BF16, Q8_0, Q5_0, Q4_0, Q4_K, Q6_K
  --embedding-type, --output-type TYPE
  --untied             an output matrix of its own (--tied: the embedding table is used; the default)
  --biases             also the biases that the architecture can do without
  --rope-scaling KIND  ${ropeScalings.join(', ')} (none)
  --rope-factor N      how many times the context is stretched (4)
  --seed N             (1)
  --out FILE
`

const options = {
  arch: { type: 'string' },
  layers: { type: 'string' },
  width: { type: 'string' },
  heads: { type: 'string' },
  'kv-heads': { type: 'string' },
  ffn: { type: 'string' },
  'head-dim': { type: 'string' },
  context: { type: 'string' },
  vocab: { type: 'string' },
  'pad-vocab': { type: 'string' },
  type: { type: 'string' },
  'embedding-type': { type: 'string' },
  'output-type': { type: 'string' },
  tied: { type: 'boolean' },
  untied: { type: 'boolean' },
  biases: { type: 'boolean' },
  'rope-scaling': { type: 'string' },
  'rope-factor': { type: 'string' },
  seed: { type: 'string' },
  out: { type: 'string' },
} as const

/** @throws {ServingError} INVALID_CONFIG, naming the flag. */
export function parseModelArguments(args: readonly string[]): ModelOptions {
  const values = parseFlags(args)
  if (values.tied && values.untied) refuse('--tied and --untied exclude each other')
  const given = <Value>(key: string, value: Value | undefined) =>
    value === undefined ? {} : { [key]: value }
  const optionalCount = (flag: CountFlag, key: string) =>
    given(key, values[flag] === undefined ? undefined : count(flag, values[flag]))
  return {
    out: needed('out', values.out),
    arch: needed('arch', values.arch),
    layers: count('layers', values.layers),
    width: count('width', values.width),
    heads: count('heads', values.heads),
    kvHeads: count('kv-heads', values['kv-heads']),
    ffn: count('ffn', values.ffn),
    type: needed('type', values.type),
    tied: values.untied !== true,
    biases: values.biases === true,
    ...optionalCount('head-dim', 'headDim'),
    ...optionalCount('context', 'context'),
    ...optionalCount('pad-vocab', 'padVocab'),
    ...optionalCount('rope-factor', 'ropeFactor'),
    ...optionalCount('seed', 'seed'),
    ...given('vocab', values.vocab),
    ...given('embeddingType', values['embedding-type']),
    ...given('outputType', values['output-type']),
    ...given('ropeScaling', toRopeScaling(values['rope-scaling'])),
  }
}

type CountFlag = 'head-dim' | 'context' | 'pad-vocab' | 'rope-factor' | 'seed'

function parseFlags(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options }).values
  } catch (cause) {
    throw new ServingError('INVALID_CONFIG', cause instanceof Error ? cause.message : String(cause), {
      cause,
    })
  }
}

function toRopeScaling(value: string | undefined) {
  const scaling = ropeScalings.find((name) => name === value)
  if (value === undefined || scaling !== undefined) return scaling
  return refuse(`--rope-scaling ${value}: there are ${ropeScalings.join(', ')}`)
}

function count(flag: string, value: string | undefined): number {
  const number = Number(needed(flag, value))
  return Number.isSafeInteger(number) && number > 0
    ? number
    : refuse(`--${flag} ${value}: not a positive integer`)
}

const needed = (flag: string, value: string | undefined): string => value ?? refuse(`--${flag} is missing`)

function refuse(reason: string): never {
  throw new ServingError('INVALID_CONFIG', reason)
}
