import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { extent, HandPlanned } from '../../test/support/shared-sequences.ts'
import { makeModel } from '../../tools/make-model.ts'
import { ServingError } from '../core/errors.ts'
import { RandomStream } from '../core/random.ts'
import { Backend } from '../ggml/backend.ts'
import { addressOf, GraphContext } from '../ggml/graph-context.ts'
import { viewMemory } from '../ggml/memory-map.ts'
import { ggmlType } from '../ggml/tensor-struct.ts'
import { Arena } from '../model/graph/arena.ts'
import { GraphBuilder } from '../model/graph/graph-builder.ts'
import type { CacheType } from './executor-options.ts'
import { hadamardMatrix, HeadRotation, rotationWidth } from './head-rotation.ts'

const backend = new Backend({ device: 'cpu', numThreads: 1, referenceKernels: false })
afterAll(() => backend.close())

describe('the rotation of heads', () => {
  it.each([1, 2, 16, 64, 128])('is orthonormal, symmetric and its own inverse at width %i', (width) => {
    const matrix = hadamardMatrix(width)
    for (let row = 0; row < width; row++) {
      for (let column = 0; column < width; column++) {
        let product = 0
        for (let k = 0; k < width; k++) product += matrix[row * width + k]! * matrix[k * width + column]!
        expect(product).toBeCloseTo(row === column ? 1 : 0, 5)
        expect(matrix[row * width + column]).toBe(matrix[column * width + row])
      }
    }
  })

  it('takes the largest power of two that divides a head', () => {
    expect([64, 80, 96, 128, 192].map(rotationWidth)).toEqual([64, 16, 32, 128, 64])
  })
})

/** Root mean square error of rows that were stored in a cache of `type` and read back, relative to their size. */
async function storageError(
  rows: Float32Array,
  headDim: number,
  type: number,
  rotates: boolean,
): Promise<number> {
  const numRows = rows.length / headDim
  const { ggml } = backend
  const context = new GraphContext(ggml, 40 * ggml.tensorOverhead() + ggml.graphOverhead(64, false) + 4096)
  const graph = ggml.newGraph(context.pointer, 64, false)
  const numBytes = rows.byteLength * 8 + 2 ** 16
  const buffer = backend.allocate(numBytes)
  const base = ggml.bufferBase(buffer)
  const builder = new GraphBuilder(ggml, context, graph, new Arena(base, numBytes), buffer)
  const rotation = new HeadRotation(backend, headDim)
  const turned = (x: number) => (rotates ? rotation.rotate(builder, x, headDim, numRows, headDim * 4) : x)

  const input = builder.tensor(ggmlType.f32, headDim, numRows)
  const slots = builder.tensor(ggmlType.i32, numRows, 1)
  const table = builder.tensor(type, headDim, numRows)
  builder.setRows(table, turned(input), slots, buffer)
  const output = turned(builder.getRows(table, slots))
  builder.expand(output)
  ggml.setTensor(input, addressOf(new Uint8Array(rows.buffer)), 0, rows.byteLength)
  const order = Int32Array.from({ length: numRows }, (_, row) => row)
  ggml.setTensor(slots, addressOf(new Uint8Array(order.buffer)), 0, order.byteLength)
  await backend.compute(graph)

  const result = new Float32Array(viewMemory(context.data(output), rows.byteLength))
  let error = 0
  let size = 0
  rows.forEach((value, index) => {
    error += (value - result[index]!) ** 2
    size += value ** 2
  })
  rotation.close()
  context.close()
  return Math.sqrt(error / size)
}

describe('what is stored in a quantised cache', () => {
  const numRows = 50
  function randomRows(headDim: number, outlier: number): Float32Array {
    const random = new RandomStream(3)
    return Float32Array.from({ length: numRows * headDim }, (_, index) => {
      const value = random.next() + random.next() + random.next() - 1.5
      return index % headDim === 5 ? value + outlier : value
    })
  }

  it.each([
    ['f16', 0.0005],
    ['q8_0', 0.01],
    ['q4_0', 0.12],
  ] as const)('comes back close in %s, turned or not', async (type, bound) => {
    for (const rotates of [false, true])
      expect(await storageError(randomRows(64, 0), 64, ggmlType[type], rotates)).toBeLessThan(bound)
  })

  it.each([64, 96, 128, 160])(
    'comes back closer when turned, where one channel of %i sticks out',
    async (width) => {
      const rows = randomRows(width, 12)
      const plain = await storageError(rows, width, ggmlType.q4_0, false)
      const turned = await storageError(rows, width, ggmlType.q4_0, true)
      expect(turned).toBeLessThan(plain * 0.8)
    },
  )
})

describe('a model with a quantised cache', () => {
  const random = new RandomStream(8)
  const tokens = Array.from({ length: 300 }, () => random.below(2000))

  async function logits(type: CacheType, cacheRotate: boolean): Promise<Float32Array> {
    const machine = await HandPlanned.open({
      numThreads: 1,
      modelPath: 'models/yardling/yardling-f16.gguf',
      cacheTypeK: type,
      cacheTypeV: type,
      cacheRotate,
    })
    const extents = [extent(0, 10)]
    await machine.run([{ tokens: tokens.slice(0, -1), position: 0, extents }])
    const [row] = await machine.run([{ tokens: tokens.slice(-1), position: tokens.length - 1, extents }])
    await machine.close()
    return row!
  }

  it('keeps its logits, turned or not', async () => {
    const exact = await logits('f16', false)
    const meanError = async (type: CacheType, rotates: boolean) => {
      const row = await logits(type, rotates)
      return row.reduce((sum, value, id) => sum + Math.abs(value - exact[id]!), 0) / row.length
    }
    const spread = exact.reduce((sum, value) => sum + Math.abs(value), 0) / exact.length
    expect(await meanError('f16', true)).toBeLessThan(0.01 * spread)
    for (const rotates of [false, true]) {
      expect(await meanError('q8_0', rotates)).toBeLessThan(0.05 * spread)
      expect(await meanError('q4_0', rotates)).toBeLessThan(0.5 * spread)
    }
  })

  it('is refused where heads are no whole quantised blocks', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'switchyard-heads-'))
    const modelPath = join(folder, 'odd.gguf')
    makeModel({
      out: modelPath,
      arch: 'llama',
      layers: 1,
      width: 160,
      heads: 2,
      kvHeads: 2,
      ffn: 64,
      type: 'F16',
    })
    const opening = HandPlanned.open({ modelPath, cacheTypeK: 'q4_0' })
    await expect(opening).rejects.toThrow(ServingError)
    rmSync(folder, { recursive: true })
  })
})
