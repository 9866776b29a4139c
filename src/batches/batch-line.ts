/** One line of a batch's input in OpenAI's form: {"custom_id", "method", "url", "body"}. */
import type { BatchError } from '../storage/batch-store.ts'

export interface BatchLine {
  readonly customId: string
  readonly body: Readonly<Record<string, unknown>>
}

export type LineProblem = Pick<BatchError, 'code' | 'message' | 'param'>

const longestId = 512

/** What the line asks for, or why it cannot be run against `endpoint`. */
export function parseLine(text: string, endpoint: string): BatchLine | LineProblem {
  let line: unknown
  try {
    line = JSON.parse(text)
  } catch {
    return problem('invalid_json_line', 'This line is not valid JSON.')
  }
  if (!isObject(line)) return problem('invalid_json_line', 'This line is not a JSON object.')
  const { custom_id: customId, method, url, body } = line
  if (typeof customId !== 'string' || customId === '' || customId.length > longestId) {
    return problem(
      'missing_required_parameter',
      `A text of 1 to ${longestId} characters is needed.`,
      'custom_id',
    )
  }
  if (method !== 'POST') return problem('invalid_method', "The method must be 'POST'.", 'method')
  if (url !== endpoint) return problem('mismatched_endpoint', `The batch is for ${endpoint}.`, 'url')
  if (!isObject(body)) return problem('missing_required_parameter', 'An object is needed.', 'body')
  return { customId, body }
}

const problem = (code: string, message: string, param: string | null = null): LineProblem => ({
  code,
  message,
  param,
})

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** What a request that says nothing of it is taken to generate. */
const usualOutput = 256

/** Text that two requests have in common as far as the prompts that are made of them do. */
export function promptOf(body: BatchLine['body']): string {
  const { cache_salt: salt, tools, instructions, system } = body
  const prompt = body['messages'] ?? body['prompt'] ?? body['input']
  const head = [salt, tools, instructions ?? system].map((part) =>
    part === undefined ? '' : JSON.stringify(part),
  )
  return head.join('') + (typeof prompt === 'string' ? prompt : (JSON.stringify(prompt) ?? ''))
}

/** Tokens that a request may generate, over all its answers. */
export function outputOf(body: BatchLine['body']): number {
  const asked = body['max_completion_tokens'] ?? body['max_tokens'] ?? body['max_output_tokens']
  const samples = typeof body['n'] === 'number' ? body['n'] : 1
  return (typeof asked === 'number' ? asked : usualOutput) * samples
}
