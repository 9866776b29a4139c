import { invariant } from '../../core/errors.ts'
import type { Workload, WorkloadRequest } from '../workload.ts'
import { derive, mapTurns, settleAnswers } from './derive.ts'

/**
 * What becomes of requests longer than the model takes: left out, with the later turns of their programs; or cut at
 * the end of the prompt, so that shared beginnings stay. To keep all of them whole, scale the lengths first.
 */
export type FitRule = 'drop' | 'cut'

/** Prompt and answer together have at most `maxModelLen` tokens afterwards. */
export function fitToModel(workload: Workload, maxModelLen: number, rule: FitRule): Workload {
  invariant(maxModelLen >= 2, `a model of ${maxModelLen} tokens`)
  const tooLong = ({ numPromptTokens, numOutputTokens }: WorkloadRequest): boolean =>
    numPromptTokens + numOutputTokens > maxModelLen
  const numTooLong = workload.requests.filter(tooLong).length
  const requests = mapTurns(workload.requests, (request) => {
    if (!tooLong(request)) return request
    return rule === 'drop' ? undefined : cut(request, maxModelLen, workload.blockSize)
  })
  const parameters = { maxModelLen, rule, numTooLong, numDropped: workload.requests.length - requests.length }
  return derive(workload, 'fit-to-model', parameters, settleAnswers(requests))
}

/** The answer keeps up to half of the room, the prompt has the rest. */
function cut(request: WorkloadRequest, maxModelLen: number, blockSize: number): WorkloadRequest {
  const numOutputTokens = Math.min(request.numOutputTokens, Math.floor(maxModelLen / 2))
  const numPromptTokens = Math.min(request.numPromptTokens, maxModelLen - numOutputTokens)
  const blocks = request.blocks.slice(0, Math.ceil(numPromptTokens / blockSize))
  return { ...request, numPromptTokens, numOutputTokens, blocks }
}
