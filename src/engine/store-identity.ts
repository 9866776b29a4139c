/** What the content of a block depends on besides its tokens: kept blocks are of use to an engine of the same alone. */
import { createHash } from 'node:crypto'
import { open, type FileHandle } from 'node:fs/promises'
import type { ExecutorOptions } from '../executor/executor-options.ts'
import type { ExecutorModel } from '../executor/executor.ts'

/** To be raised when the layout of a block, or what computes it, changes. */
const layout = 1
const sampleBytes = 2 ** 20
const numSamples = 16

/** 32 bytes: of the model file its size, its time and samples of its content; of the settings those that change KV. */
export async function storeIdentity(options: ExecutorOptions, model: ExecutorModel): Promise<Uint8Array> {
  const hash = createHash('sha256')
  const { blockSize, kvBytesPerToken, vocabSize } = model
  hash.update(JSON.stringify([layout, options.kind, blockSize, kvBytesPerToken, vocabSize]))
  if (options.kind === 'ggml') {
    const { cacheTypeK, cacheTypeV, batchInvariant, cacheRotate, device, numThreads } = options
    hash.update(JSON.stringify([cacheTypeK, cacheTypeV, batchInvariant, cacheRotate, device, numThreads]))
    const file = await open(options.modelPath)
    try {
      hash.update(await sampled(file))
    } finally {
      await file.close()
    }
  }
  return hash.digest()
}

async function sampled(file: FileHandle): Promise<Uint8Array> {
  const hash = createHash('sha256')
  const { size, mtimeMs } = await file.stat()
  hash.update(JSON.stringify([size, mtimeMs]))
  const sample = new Uint8Array(sampleBytes)
  for (let index = 0; index < numSamples; index += 1) {
    const offset = Math.floor((Math.max(0, size - sampleBytes) * index) / (numSamples - 1))
    const { bytesRead } = await file.read(sample, 0, sampleBytes, offset)
    hash.update(sample.subarray(0, bytesRead))
  }
  return hash.digest()
}
