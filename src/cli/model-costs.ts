import { basename } from 'node:path'
import { openGguf, type GgufTensor } from '../model/gguf-reader.ts'
import { checkModel } from '../model/model-spec.ts'
import type { ModelCosts } from '../simulator/latency/roofline.ts'

export interface FileCosts extends ModelCosts {
  /** ggml's type of most of the layers' bytes. */
  readonly weightType: number
}

/** Matrices count as their file has them; tables that are only looked up do not. @throws {ServingError} INVALID_MODEL */
export function costsOfFile(path: string): FileCosts {
  const gguf = openGguf(path)
  try {
    const { hyperparameters: h, tensors } = checkModel(gguf)
    const matrices = [...tensors.values()].filter(({ shape }) => shape.length > 1)
    const head = tensors.get('output.weight') ?? tensors.get('token_embd.weight')
    const layers = matrices.filter(({ name }) => name.startsWith('blk.'))
    return {
      name: basename(path).replace(/\.gguf$/i, ''),
      layerParameters: sum(layers, numElements),
      layerBytes: sum(layers, ({ numBytes }) => numBytes),
      headParameters: head === undefined ? 0 : numElements(head),
      headBytes: head?.numBytes ?? 0,
      attentionWidth: h.numLayers * h.numHeads * h.headDim,
      kvBytesPerToken: 2 * 2 * h.numLayers * h.numKvHeads * h.headDim,
      contextLength: h.contextLength,
      weightType: commonestType(layers),
    }
  } finally {
    gguf.close()
  }
}

function commonestType(tensors: readonly GgufTensor[]): number {
  const bytes = new Map<number, number>()
  for (const { type, numBytes } of tensors) bytes.set(type, (bytes.get(type) ?? 0) + numBytes)
  return [...bytes].toSorted(([, a], [, b]) => b - a)[0]?.[0] ?? 0
}

const numElements = ({ shape }: GgufTensor): number => shape.reduce((product, size) => product * size, 1)

function sum(tensors: readonly GgufTensor[], of: (tensor: GgufTensor) => number): number {
  return tensors.reduce((total, tensor) => total + of(tensor), 0)
}
