/**
 * Runs where there is a device besides the CPU: SWITCHYARD_TEST_DEVICE names it, and SWITCHYARD_GGML_DIR a folder
 * whose libraries know it. Mesa's lavapipe does for Vulkan, with GGML_VK_VISIBLE_DEVICES=0.
 */
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { testExecutorOptions } from '../../test/support/single-sequence.ts'
import { toBlockId, toRequestId, toSequenceId } from '../core/units.ts'
import { devices, type Device } from '../ggml/platform.ts'
import { createExecutor } from './create-executor.ts'

const modelPath = fileURLToPath(new URL('../../models/yardling/yardling-q8_0.gguf', import.meta.url))
const named = devices.find((device) => device === process.env['SWITCHYARD_TEST_DEVICE'])

const prompt = Array.from({ length: 70 }, (_, index) => 20 + index * 13)
const steps = [prompt.slice(0, 37), prompt.slice(37), [7], [8], [9], [10]]

/** Start and length in blocks. */
type Runs = readonly (readonly [number, number])[]

/** What the rows say after each step of one sequence in these blocks. */
async function rowsOn(device: Device, runs: Runs) {
  const { executor } = await createExecutor({ ...testExecutorOptions, device, modelPath }, () => undefined)
  const extents = runs.map(([start, length]) => ({ start: toBlockId(start), length }))
  const ids = { sequenceId: toSequenceId(0), requestId: toRequestId('r') }
  const seen: { best: number; logit: number; sum: number }[] = []
  let position = 0
  for (const [step, tokens] of steps.entries()) {
    const entry = { ...ids, tokens, position, extents, samples: true }
    const plan = { step, entries: [entry], numTokens: tokens.length, preempted: [], copies: [] }
    const { rows } = await executor.execute(plan, [{ kind: 'top', logSumExpAt: [1] }])
    const row = rows[0]!
    seen.push({ best: row.topIds[0]!, logit: row.topLogits[0]!, sum: row.logSumExp(1) })
    position += tokens.length
  }
  await executor.close()
  return seen
}

describe.skipIf(named === undefined)('GgmlExecutor on the device that SWITCHYARD_TEST_DEVICE names', () => {
  it.each<[string, Runs]>([
    ['one extent', [[0, 4]]],
    ['an extent elsewhere', [[8, 4]]],
    [
      'scattered blocks',
      [
        [3, 1],
        [9, 2],
        [5, 1],
      ],
    ],
  ])('computes what the CPU computes, over %s', async (_, runs) => {
    const onDevice = await rowsOn(named!, runs)
    const onCpu = await rowsOn('cpu', runs)
    for (const [index, { best, logit, sum }] of onDevice.entries()) {
      expect(best).toBe(onCpu[index]!.best)
      expect(logit).toBeCloseTo(onCpu[index]!.logit, 0)
      expect(sum).toBeCloseTo(onCpu[index]!.sum, 0)
    }
  })
})
