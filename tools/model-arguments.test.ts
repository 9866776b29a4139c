import { expect, it } from 'vitest'

import { ServingError } from '../src/core/errors.ts'
import { parseModelArguments } from './model-arguments.ts'

const needed = '--arch llama --layers 2 --width 64 --heads 4 --kv-heads 2 --ffn 96 --type Q8_0 --out x.gguf'
const parse = (line: string) => parseModelArguments(line.split(' '))

it('turns flags into options and leaves out what was not given', () => {
  expect(parse(needed)).toEqual({
    arch: 'llama',
    layers: 2,
    width: 64,
    heads: 4,
    kvHeads: 2,
    ffn: 96,
    type: 'Q8_0',
    out: 'x.gguf',
    tied: true,
    biases: false,
  })
  expect(
    parse(`${needed} --untied --biases --head-dim 32 --rope-scaling yarn --pad-vocab 9 --seed 3`),
  ).toMatchObject({
    tied: false,
    biases: true,
    headDim: 32,
    ropeScaling: 'yarn',
    padVocab: 9,
    seed: 3,
  })
})

it.each([
  ['--arch llama', '--out is missing'],
  [needed.replace('--width 64', ''), '--width is missing'],
  [needed.replace('64', 'wide'), '--width wide: not a positive integer'],
  [needed.replace('64', '-1'), 'width'],
  [`${needed} --seed 0.5`, '--seed 0.5: not a positive integer'],
  [`${needed} --rope-scaling ntk`, '--rope-scaling ntk: there are none, linear, yarn, llama3'],
  [`${needed} --tied --untied`, '--tied and --untied exclude each other'],
  [`${needed} --colour blue`, '--colour'],
])('refuses %s', (line, message) => {
  const run = () => parseModelArguments(line.split(' ').filter((word) => word !== ''))
  expect(run).toThrow(ServingError)
  expect(run).toThrow(message)
})
