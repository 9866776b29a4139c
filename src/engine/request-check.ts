import type { GenerationRequest } from '../core/request.ts'
import type { SequenceError } from './engine-client.ts'

/**
 * Why this request must not reach the kernels, where an index beyond a table ends the process; undefined when it may.
 * What is too long is the scheduler's to say.
 */
export function findFault(request: GenerationRequest, vocabSize: number): SequenceError | undefined {
  const fault = (message: string): SequenceError => ({ code: 'INVALID_REQUEST', message })
  if (request.promptTokens.length === 0) return fault('The prompt is empty.')
  if (!(request.maxTokens >= 1)) return fault(`${request.maxTokens} tokens cannot be generated.`)
  for (const tokens of [request.promptTokens, request.outputTokens]) {
    const unknown = tokens.find((id) => !(Number.isInteger(id) && id >= 0 && id < vocabSize))
    if (unknown !== undefined) return fault(`Token ${unknown} is not in the vocabulary of ${vocabSize}.`)
  }
  return undefined
}
