/** Reads the whole input of a batch once: what is wrong with it, and in which order its lines run. */
import { orderBatch, type BatchItem } from '../scheduler/batch/batch-order.ts'
import { promptChain } from '../scheduler/batch/prompt-chain.ts'
import type { BatchError } from '../storage/batch-store.ts'
import { outputOf, parseLine, promptOf } from './batch-line.ts'
import { readLines, type LinePlace } from './line-reader.ts'

export interface BatchLimits {
  readonly maxLines: number
  readonly maxLineBytes: number
}

/** Lines that can all be run. Line n of `order` is to be found at place n. */
export interface PreparedBatch {
  readonly places: readonly LinePlace[]
  readonly order: Int32Array
}

/** More would be no help. */
const mostErrors = 100
const charsPerToken = 4

/** What can be run, or all that is wrong; an answer of one kind for one file. Nothing of the text is kept. */
export async function prepareBatch(
  path: string,
  endpoint: string,
  { maxLines, maxLineBytes }: BatchLimits,
): Promise<PreparedBatch | { readonly errors: readonly BatchError[] }> {
  const errors: BatchError[] = []
  const places: LinePlace[] = []
  const items: BatchItem[] = []
  const ids = new Set<string>()
  const refuse = (code: string, message: string, param: string | null = null): void => {
    errors.push({ code, message, param, line: places.length })
  }
  for await (const { offset, length, text } of readLines(path, maxLineBytes)) {
    places.push({ offset, length })
    if (errors.length >= mostErrors) break
    if (places.length > maxLines) {
      errors.push({
        code: 'too_many_tasks',
        message: `A batch has at most ${maxLines} lines.`,
        param: null,
        line: null,
      })
      break
    }
    if (text === undefined) {
      refuse('line_too_long', `This line has ${length} bytes; at most ${maxLineBytes} are read.`)
      continue
    }
    const line = parseLine(text, endpoint)
    if ('code' in line) {
      refuse(line.code, line.message, line.param)
      continue
    }
    if (ids.has(line.customId)) {
      refuse('duplicate_custom_id', `Another line has the custom_id '${line.customId}'.`, 'custom_id')
      continue
    }
    ids.add(line.customId)
    const prompt = promptOf(line.body)
    items.push({
      chain: promptChain(prompt),
      promptTokens: prompt.length / charsPerToken,
      outputTokens: outputOf(line.body),
    })
  }
  if (places.length === 0)
    errors.push({ code: 'empty_file', message: 'The file has no lines.', param: null, line: null })
  return errors.length > 0 ? { errors } : { places, order: orderBatch(items) }
}
