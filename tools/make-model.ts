/**
 * Makes a model of a wanted shape with random weights and a real vocabulary: for benchmarks, which measure shapes, and
 * for tests, which compare engines. Which tensors it needs, the architecture itself says.
 */
import { resolve } from 'node:path'

import { ServingError } from '../src/core/errors.ts'
import { architectures } from '../src/model/architectures/index.ts'
import type { Architecture, TensorDeclaration } from '../src/model/architectures/architecture.ts'
import { openGguf } from '../src/model/gguf-reader.ts'
import { findTensorType, type TensorType } from '../src/model/gguf-types.ts'
import type { Hyperparameters } from '../src/model/hyperparameters.ts'
import { checkModel, declareTensors, type ModelSpec } from '../src/model/model-spec.ts'
import { writeGguf, type TensorEntry } from './gguf-writer.ts'
import { parseModelArguments, usage } from './model-arguments.ts'
import { modelMetadata } from './model-metadata.ts'
import { fittingType, quantise, randomTensor, type Distribution } from './random-weights.ts'
import { llama3Factors, makeRope, type RopeScaling } from './rope-options.ts'
import { copyVocabulary } from './vocabulary.ts'

export interface ModelOptions {
  readonly out: string
  readonly arch: string
  readonly layers: number
  readonly width: number
  readonly heads: number
  readonly kvHeads: number
  readonly ffn: number
  /** `width / heads` unless given. */
  readonly headDim?: number
  /** Tokens; 32,768 unless given. */
  readonly context?: number
  /** A GGUF file to take the tokenizer from; the bundled model unless given. */
  readonly vocab?: string
  /** Unused tokens are appended until there are that many. */
  readonly padVocab?: number
  /** Of all matrices; norms and biases are F32. */
  readonly type: string
  readonly embeddingType?: string
  readonly outputType?: string
  /** The embedding table is the output matrix too; true unless given. */
  readonly tied?: boolean
  /** Also the biases that the architecture can do without. */
  readonly biases?: boolean
  readonly ropeScaling?: RopeScaling
  readonly ropeFactor?: number
  readonly seed?: number
  /** Told of every choice that differs from what was asked for. */
  readonly onNote?: (note: string) => void
}

const bundledModel = resolve(import.meta.dirname, '../models/yardling/yardling-q8_0.gguf')

interface PlannedTensor extends TensorEntry {
  readonly tensorType: TensorType
}

/**
 * Writes the file, reads it back and returns what a server will see.
 * @throws {ServingError} INVALID_CONFIG for a shape or type that cannot be.
 */
export function makeModel(options: ModelOptions): ModelSpec {
  const architecture = findArchitecture(options.arch)
  const source = openGguf(options.vocab ?? bundledModel)
  const vocabulary = copyVocabulary(source, options.padVocab)
  source.close()
  const hyperparameters = toHyperparameters(options, vocabulary.numTokens)
  const type = findType(options.type)
  const tensors = planTensors(options, declareTensors(architecture, hyperparameters))
  const metadata = [...modelMetadata(hyperparameters, type), ...vocabulary.metadata]
  writeGguf(options.out, { metadata, tensors }, (tensor) => produce(tensor, options, hyperparameters))

  const written = openGguf(options.out)
  const spec = checkModel(written)
  written.close()
  return spec
}

function toHyperparameters(options: ModelOptions, vocabSize: number): Hyperparameters {
  const { arch, layers, width, heads, kvHeads, ffn, context = 32_768 } = options
  const headDim = options.headDim ?? width / heads
  if (!Number.isInteger(headDim) || headDim % 2 !== 0) refuse(`heads of ${headDim} elements cannot be`)
  if (heads % kvHeads !== 0) refuse(`${heads} heads cannot share ${kvHeads} KV heads evenly`)
  // llama.cpp has no other Qwen2.
  if (arch === 'qwen2' && headDim * heads !== width)
    refuse('qwen2 needs --head-dim times --heads to be --width')
  return {
    architecture: arch,
    numLayers: layers,
    embeddingLength: width,
    numHeads: heads,
    numKvHeads: kvHeads,
    headDim,
    valueHeadDim: headDim,
    feedForwardLength: ffn,
    rmsEpsilon: 1e-6,
    contextLength: context,
    vocabSize,
    attentionScale: 1 / Math.sqrt(headDim),
    rope: makeRope({ arch, headDim, context, scaling: options.ropeScaling, factor: options.ropeFactor }),
  }
}

function planTensors(options: ModelOptions, declarations: readonly TensorDeclaration[]): PlannedTensor[] {
  const notes = new Set<string>()
  const planned = declarations
    .filter((declaration) => !declaration.isOptional || isWanted(declaration.name, options))
    .map(({ name, shape }) => {
      const wanted = shape.length === 1 ? findType('F32') : matrixType(name, options)
      const tensorType = fittingType(wanted, shape[0] ?? 1)
      if (tensorType !== wanted) {
        notes.add(`rows of ${shape[0]} do not fit ${wanted.name}: those matrices become ${tensorType.name}`)
      }
      return { name, shape, type: tensorType.id, tensorType }
    })
  for (const note of notes) options.onNote?.(note)
  return planned
}

function isWanted(name: string, { tied = true, biases = false, ropeScaling }: ModelOptions): boolean {
  if (name === 'output.weight') return !tied
  if (name === 'rope_freqs.weight') return ropeScaling === 'llama3'
  return biases && name.endsWith('.bias')
}

function matrixType(name: string, options: ModelOptions): TensorType {
  if (name === 'token_embd.weight') return findType(options.embeddingType ?? options.type)
  if (name === 'output.weight') return findType(options.outputType ?? options.type)
  return findType(options.type)
}

function produce(tensor: PlannedTensor, options: ModelOptions, h: Hyperparameters): Iterable<Uint8Array> {
  const { name, shape, tensorType } = tensor
  if (name === 'rope_freqs.weight') return [quantise(tensorType, llama3Factors(h.rope), shape[0] ?? 1)]
  const distribution = distributionOf(name, shape, h.numLayers)
  return randomTensor({ type: tensorType, shape, distribution, seed: seedOf(name, options.seed ?? 1) })
}

/** Keeps activations near 1 in every layer, as GPT-2 was initialised: what adds to the residual stream is smaller. */
function distributionOf(name: string, shape: readonly number[], numLayers: number): Distribution {
  if (name.endsWith('norm.weight')) return { mean: 1, spread: 0.2 }
  if (name.endsWith('.bias')) return { mean: 0, spread: 0.2 }
  const addsToStream = name.endsWith('attn_output.weight') || name.endsWith('ffn_down.weight')
  const deviation = 1 / Math.sqrt((shape[0] ?? 1) * (addsToStream ? 2 * numLayers : 1))
  // Uniform over [-s, s) has the standard deviation s / sqrt(3).
  return { mean: 0, spread: deviation * Math.sqrt(3) }
}

/** Each tensor has its own stream, whatever else is in the file. FNV-1a. */
function seedOf(name: string, seed: number): number {
  let hash = 0x811c9dc5 ^ seed
  for (const byte of Buffer.from(name)) hash = Math.imul(hash ^ byte, 0x01000193)
  return hash
}

function findArchitecture(name: string): Architecture {
  const architecture = architectures.get(name)
  return (
    architecture ?? refuse(`no architecture "${name}"; there are ${[...architectures.keys()].join(', ')}`)
  )
}

function findType(name: string): TensorType {
  const type = findTensorType(name)
  return type?.isWeight === true && writable.has(type.name)
    ? type
    : refuse(`cannot write type "${name}"; can write ${[...writable].join(', ')}`)
}

const writable: ReadonlySet<string> = new Set(['F32', 'F16', 'BF16', 'Q8_0', 'Q5_0', 'Q4_0', 'Q4_K', 'Q6_K'])

function refuse(reason: string): never {
  throw new ServingError('INVALID_CONFIG', reason)
}

function main(): void {
  const args = process.argv.slice(2)
  if (args.length === 0 || args.includes('--help')) {
    process.stdout.write(usage)
    return
  }
  try {
    const spec = makeModel({
      ...parseModelArguments(args),
      onNote: (note) => process.stderr.write(`note: ${note}\n`),
    })
    const numBytes = [...spec.tensors.values()].reduce((sum, tensor) => sum + tensor.numBytes, 0)
    process.stdout.write(`${spec.path}: ${spec.tensors.size} tensors, ${(numBytes / 1e6).toFixed(1)} MB\n`)
  } catch (error) {
    if (!(error instanceof ServingError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exitCode = 1
  }
}

if (process.argv[1] === import.meta.filename) main()
