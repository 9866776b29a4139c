/** Sums a model file up for people and clients that ask about it. */
import { createHash } from 'node:crypto'
import { statSync } from 'node:fs'
import type { ModelCard, PoolingType } from '../core/model-card.ts'
import type { GgufFile } from './gguf-reader.ts'
import { tensorTypeName } from './gguf-types.ts'
import { readHyperparameters } from './hyperparameters.ts'

/** By llama.cpp's number (`enum llama_pooling_type`). */
const poolingTypes: readonly PoolingType[] = ['none', 'mean', 'cls', 'last', 'rank']

/** @throws {ServingError} INVALID_MODEL */
export function readModelCard(gguf: GgufFile): ModelCard {
  const { architecture, contextLength, embeddingLength } = readHyperparameters(gguf)
  const metadata = scalarsOf(gguf)
  const modifiedAt = statSync(gguf.path).mtime.toISOString()
  const counts = parametersByType(gguf)
  const identity = JSON.stringify([gguf.numBytes, modifiedAt, metadata, [...gguf.tensors.values()]])
  return {
    architecture,
    numBytes: gguf.numBytes,
    modifiedAt,
    digest: createHash('sha256').update(identity).digest('hex'),
    numParameters: [...counts.values()].reduce((sum, count) => sum + count, 0),
    quantization: tensorTypeName([...counts].toSorted((a, b) => b[1] - a[1])[0]?.[0] ?? 0),
    contextLength,
    embeddingLength,
    pooling: poolingOf(gguf, architecture),
    metadata,
  }
}

function poolingOf(gguf: GgufFile, architecture: string): PoolingType | undefined {
  const key = `${architecture}.pooling_type`
  const number = gguf.findUint(key)
  if (number === undefined) return undefined
  return poolingTypes[number] ?? gguf.refuse(`metadata ${key} is ${number}, which is no pooling type`)
}

function scalarsOf(gguf: GgufFile): Record<string, string | number | boolean> {
  const scalars: Record<string, string | number | boolean> = {}
  for (const [key, value] of gguf.metadata) {
    if (value.kind !== 'scalar') continue
    scalars[key] = typeof value.value === 'bigint' ? `${value.value}` : value.value
  }
  return scalars
}

function parametersByType({ tensors }: GgufFile): Map<number, number> {
  const counts = new Map<number, number>()
  for (const { type, shape } of tensors.values()) {
    const count = shape.reduce((product, size) => product * size, 1)
    counts.set(type, (counts.get(type) ?? 0) + count)
  }
  return counts
}
