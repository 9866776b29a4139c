/**
 * Rotary position embedding, from a GGUF's metadata to the arguments of `ggml_rope_ext`. Keys, defaults and the
 * arithmetic are llama.cpp's (`llama-model.cpp`, `load_hparams`; `llama-context.cpp`, YaRN), in single precision.
 */
import type { GgufFile } from './gguf-reader.ts'

export interface RopeHyperparameters {
  /** `llama3`: per-frequency factors come as the tensor `rope_freqs.weight`. */
  readonly scaling: 'none' | 'linear' | 'yarn' | 'llama3'
  /** Leading elements of a head that are rotated. */
  readonly dimensionCount: number
  readonly freqBase: number
  /** How many times the context was stretched; 1 when it was not. */
  readonly factor: number
  /** What positions are multiplied by: 1 / `factor`. */
  readonly freqScale: number
  /** Context length before it was stretched. */
  readonly originalContextLength: number
  /** 1 mixes in the unscaled angles as YaRN does, 0 does not. */
  readonly extFactor: number
  /** Multiplies the rotated values, after ggml's own YaRN correction. */
  readonly attnFactor: number
  readonly betaFast: number
  readonly betaSlow: number
}

interface RopeContext {
  readonly key: (name: string) => string
  readonly contextLength: number
  readonly headDim: number
}

/** @throws {ServingError} INVALID_MODEL. */
export function readRope(gguf: GgufFile, { key, contextLength, headDim }: RopeContext): RopeHyperparameters {
  const dimensionCount = gguf.findUint(key('rope.dimension_count')) ?? headDim
  if (dimensionCount !== headDim) {
    gguf.refuse(`${key('rope.dimension_count')} is ${dimensionCount}, heads have ${headDim}; not supported`)
  }
  const freqBase = positiveFloat(gguf, key('rope.freq_base')) ?? 10_000
  const type = readScalingType(gguf, key('rope.scaling.type'))
  const factor = type === 'none' ? 1 : readFactor(gguf, key)
  const attnFactor = positiveFloat(gguf, key('rope.scaling.attn_factor')) ?? 1
  const isYarn = type === 'yarn'
  return {
    scaling: scalingOf(gguf, type, factor),
    dimensionCount,
    freqBase,
    factor,
    freqScale: Math.fround(1 / factor),
    originalContextLength: gguf.findUint(key('rope.scaling.original_context_length')) || contextLength,
    extFactor: isYarn ? 1 : 0,
    attnFactor: Math.fround((isYarn ? yarnAttention(factor) : 1) * attnFactor),
    // llama.cpp's constants: it reads the keys for these only in architectures that are not supported here.
    betaFast: 32,
    betaSlow: 1,
  }
}

/** llama.cpp's default is `linear` with no factor, which is no scaling. */
function readScalingType(gguf: GgufFile, key: string): 'none' | 'linear' | 'yarn' {
  const type = gguf.findString(key) ?? 'linear'
  if (type === 'none' || type === 'linear' || type === 'yarn') return type
  return gguf.refuse(`${key} "${type}" is not supported; none, linear and yarn are`)
}

function readFactor(gguf: GgufFile, key: (name: string) => string): number {
  const name = gguf.metadata.has(key('rope.scaling.factor')) ? 'rope.scaling.factor' : 'rope.scale_linear'
  const factor = gguf.findFloat(key(name)) ?? 0
  if (!(factor >= 0 && factor <= 1_000_000)) gguf.refuse(`${key(name)} must be positive, is ${factor}`)
  return factor === 0 ? 1 : factor
}

function scalingOf(gguf: GgufFile, type: string, factor: number): RopeHyperparameters['scaling'] {
  if (type === 'yarn') return 'yarn'
  if (gguf.tensors.has('rope_freqs.weight')) return 'llama3'
  return factor === 1 ? 'none' : 'linear'
}

/** YaRN's magnitude for this factor, divided by the one that ggml's kernel applies itself. */
function yarnAttention(factor: number): number {
  const f32 = Math.fround
  const growth = f32(f32(0.1) * f32(Math.log(f32(1 / f32(1 / factor)))))
  const magnitude = factor <= 1 ? 1 : f32(growth + 1)
  return f32(magnitude * f32(1 / f32(1 + growth)))
}

function positiveFloat(gguf: GgufFile, key: string): number | undefined {
  const value = gguf.findFloat(key)
  if (value === undefined || (value > 0 && Number.isFinite(value))) return value
  return gguf.refuse(`${key} must be positive, is ${value}`)
}
