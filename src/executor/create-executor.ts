/** Builds the executor that the options name: opens the model, picks the device, loads weights, sizes the KV pool. */
import { availableParallelism } from 'node:os'
import { ServingError } from '../core/errors.ts'
import { Backend } from '../ggml/backend.ts'
import { ggmlType } from '../ggml/tensor-struct.ts'
import { openGguf, type GgufFile } from '../model/gguf-reader.ts'
import { checkModel, type ModelSpec } from '../model/model-spec.ts'
import type { RopeParams } from '../model/graph/graph-builder.ts'
import { loadWeights } from '../model/weights.ts'
import type { Executor } from './executor.ts'
import type { ExecutorOptions, GgmlExecutorOptions } from './executor-options.ts'

import { GgmlExecutor } from './ggml-executor.ts'
import type { AttentionRules } from './attention-plan.ts'
import { HeadRotation } from './head-rotation.ts'
import { KvPool } from './kv-pool.ts'
import { padToTile } from './step-shape.ts'

export interface CreatedExecutor {
  readonly executor: Executor
  readonly info: { readonly architecture: string; readonly device: string; readonly numThreads: number }
}

/** @throws {ServingError} when the model or the device cannot be used; the message says why. */
export async function createExecutor(
  options: ExecutorOptions,
  onProgress: (fraction: number) => void,
): Promise<CreatedExecutor> {
  if (options.kind === 'ggml') return createGgmlExecutor(options, onProgress)
  const { FakeExecutor } = await import('./fake-executor.ts')
  return {
    executor: new FakeExecutor(options),
    info: { architecture: 'fake', device: 'none', numThreads: 0 },
  }
}

async function createGgmlExecutor(
  options: GgmlExecutorOptions,
  onProgress: (fraction: number) => void,
): Promise<CreatedExecutor> {
  const { spec, endTokenIds } = readModel(options.modelPath)
  const numThreads = options.numThreads ?? availableParallelism()
  const backend = new Backend({
    device: options.device,
    numThreads,
    referenceKernels: options.batchInvariant,
  })
  const pool = poolSize(spec, backend, options)
  const weights = await loadWeights(spec, backend, { onProgress })
  const h = spec.hyperparameters
  const padRows = padToTile(options.batchInvariant)
  const rotation = options.cacheRotate === true ? new HeadRotation(backend, h.headDim) : undefined
  const executor = new GgmlExecutor({
    backend,
    model: { hyperparameters: h, weights, rope: ropeParams(spec) },
    pool: new KvPool(backend, { ...pool.shape, numSlots: pool.numTokens, numScratchSlots: pool.maxModelLen }),
    rotation,
    info: {
      vocabSize: h.vocabSize,
      maxModelLen: pool.maxModelLen,
      blockSize: options.blockSize,
      numBlocks: pool.numTokens / options.blockSize,
      kvBytesPerToken: pool.bytesPerToken,
      endTokenIds,
      embeddingLength: h.embeddingLength,
    },
    maxRows: padRows(Math.max(options.maxNumBatchedTokens, options.maxNumSeqs)),
    maxOutputs: padRows(options.maxNumSeqs),
    padRows,
    numLayerGroups: options.numLayerGroups,
    attention: attentionRules(options, spec, { isCpu: backend.isCpu, numThreads, numTokens: pool.numTokens }),
  })
  return { executor, info: { architecture: h.architecture, device: backend.description, numThreads } }
}

/** Tokens gathered for a group at most; room for them is set aside, but takes memory only once it is used. */
const mostGatheredTokens = 65_536

/** The shared, the stacked and the spanning path were measured on the CPU; a device keeps to gathering. */
function attentionRules(
  options: GgmlExecutorOptions,
  { hyperparameters }: ModelSpec,
  { isCpu, numThreads, numTokens }: { isCpu: boolean; numThreads: number; numTokens: number },
): AttentionRules {
  const mayRegroup = isCpu && !options.batchInvariant
  const isQuantised = options.cacheTypeK !== 'f16' || options.cacheTypeV !== 'f16'
  const { numHeads, numKvHeads, headDim } = hyperparameters
  const maxGatheredTokens = mayRegroup ? Math.min(numTokens, mostGatheredTokens) : 1
  return {
    machine: { numThreads, numHeads, numKvHeads, headDim, maxGatheredTokens },
    sharing: mayRegroup ? (options.sharedAttention ?? 'auto') : 'never',
    stacks: mayRegroup && options.stackedChunks !== false,
    unpacks: mayRegroup && isQuantised,
    spans: isCpu,
    keepsOrder: options.batchInvariant,
  }
}

function readModel(path: string): { spec: ModelSpec; endTokenIds: number[] } {
  const gguf = openGguf(path)
  try {
    return { spec: checkModel(gguf), endTokenIds: readEndTokens(gguf) }
  } finally {
    gguf.close()
  }
}

/** The end tokens that the file names. A tokenizer may know more; they come with each request. */
function readEndTokens(gguf: GgufFile): number[] {
  const keys = ['eos_token_id', 'eot_token_id', 'eom_token_id']
  const ids = keys.map((key) => gguf.findUint(`tokenizer.ggml.${key}`))
  return [...new Set(ids.filter((id) => id !== undefined))]
}

function ropeParams({ architecture, hyperparameters }: ModelSpec): RopeParams {
  const { rope } = hyperparameters
  return {
    numDimensions: rope.dimensionCount,
    mode: architecture.ropeMode === 'neox' ? 2 : 0,
    originalContext: rope.originalContextLength,
    freqBase: rope.freqBase,
    freqScale: rope.freqScale,
    extFactor: rope.extFactor,
    attnFactor: rope.attnFactor,
    betaFast: rope.betaFast,
    betaSlow: rope.betaSlow,
  }
}

/** Elements that share a scale in the quantised types. */
const quantisedBlock = 32

function checkCacheTypes({ cacheTypeK, cacheTypeV }: GgmlExecutorOptions, headDim: number): void {
  if (headDim % quantisedBlock === 0 || (cacheTypeK === 'f16' && cacheTypeV === 'f16')) return
  throw new ServingError(
    'INVALID_CONFIG',
    `the KV cache of this model cannot be quantised: its heads have ${headDim} elements, no multiple of ${quantisedBlock}`,
  )
}

/** Without a wish, the pool takes up to this much memory. */
const defaultPoolBytes = 2 ** 30

function poolSize(spec: ModelSpec, backend: Backend, options: GgmlExecutorOptions) {
  const h = spec.hyperparameters
  const shape = {
    numLayers: h.numLayers,
    numKvHeads: h.numKvHeads,
    headDim: h.headDim,
    typeK: ggmlType[options.cacheTypeK],
    typeV: ggmlType[options.cacheTypeV],
  }
  checkCacheTypes(options, h.headDim)
  const bytesPerToken = KvPool.bytesPerToken(backend, shape)
  const longest = Math.min(options.maxModelLen ?? h.contextLength, h.contextLength)
  const byMemory = Math.floor(defaultPoolBytes / bytesPerToken)
  const wanted = options.kvCacheTokens ?? Math.min(longest * options.maxNumSeqs, Math.max(byMemory, 4096))
  const numTokens = Math.floor(wanted / options.blockSize) * options.blockSize
  if (numTokens === 0) {
    throw new ServingError(
      'INVALID_CONFIG',
      `a KV pool of ${wanted} tokens holds no block of ${options.blockSize} tokens`,
    )
  }
  return { shape, bytesPerToken, numTokens, maxModelLen: Math.min(longest, numTokens) }
}
