/** Lines of output and error files, in OpenAI's form. */
import { randomUUID } from 'node:crypto'
import type { LineResult } from '../storage/batch-store.ts'
import type { LineAnswer } from './dispatch.ts'

/** The body is put in as it came: it is JSON already. */
export function answerResult(
  line: number,
  customId: string,
  { status, requestId, body }: LineAnswer,
): LineResult {
  const head = JSON.stringify({ id: newId(), custom_id: customId }).slice(0, -1)
  const response = `{"status_code":${status},"request_id":${JSON.stringify(requestId)},"body":${body}}`
  return { line, ok: status < 400, json: `${head},"response":${response},"error":null}` }
}

/** A line that was never answered. */
export function missingResult(line: number, customId: string, code: string, message: string): LineResult {
  const json = JSON.stringify({ id: newId(), custom_id: customId, response: null, error: { code, message } })
  return { line, ok: false, json }
}

const newId = (): string => `batch_req_${randomUUID().replaceAll('-', '')}`
