/** Failures as Anthropic's error object. */
import { errorTable, type ServingError } from '../../../core/errors.ts'

/** By status, as their documentation lists them; what is not here is `api_error`. */
const types: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  503: 'overloaded_error',
}

export function anthropicErrorBody({ code, message, param }: ServingError, requestId?: string) {
  const { status } = errorTable[code]
  const type = types[status] ?? (status < 500 ? 'invalid_request_error' : 'api_error')
  const text = param === undefined || message.includes(param) ? message : `${param}: ${message}`
  return { type: 'error', error: { type, message: text }, request_id: requestId ?? null }
}
