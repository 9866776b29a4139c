import type { Usage } from '../../usage.ts'
import type { GenerationResult } from '../../generation.ts'
import type { OutputItem } from './items.ts'
import type { ResponsesBody } from './schema.ts'

export interface ResponseUsage {
  readonly input_tokens: number
  readonly input_tokens_details: { readonly cached_tokens: number }
  readonly output_tokens: number
  readonly output_tokens_details: { readonly reasoning_tokens: number }
  readonly total_tokens: number
}

/** What a response has become so far. */
export interface ResponseState {
  readonly status: 'in_progress' | 'completed' | 'incomplete' | 'failed'
  readonly output: readonly OutputItem[]
  readonly usage: ResponseUsage | null
  readonly error: { readonly code: string; readonly message: string } | null
}

export type ResponseObject = ResponseState & {
  readonly id: string
  readonly object: 'response'
  readonly [field: string]: unknown
}

export interface ResponseFacts {
  readonly id: string
  /** Seconds since 1970. */
  readonly createdAt: number
  readonly model: string
  readonly body: ResponsesBody
}

/** The response as the API shows it: what was asked for, with defaults filled in, and what came of it. */
export function responseObject(
  { id, createdAt, model, body }: ResponseFacts,
  state: ResponseState,
): ResponseObject {
  return {
    id,
    object: 'response',
    created_at: createdAt,
    ...state,
    incomplete_details: state.status === 'incomplete' ? { reason: 'max_output_tokens' } : null,
    background: false,
    instructions: body.instructions ?? null,
    max_output_tokens: body.max_output_tokens ?? null,
    max_tool_calls: null,
    metadata: body.metadata ?? {},
    model,
    parallel_tool_calls: body.parallel_tool_calls ?? true,
    previous_response_id: body.previous_response_id ?? null,
    prompt_cache_key: body.prompt_cache_key ?? null,
    reasoning: { effort: body.reasoning?.effort ?? null, summary: body.reasoning?.summary ?? null },
    safety_identifier: body.safety_identifier ?? null,
    service_tier: body.service_tier ?? 'auto',
    store: body.store ?? true,
    temperature: body.temperature ?? 1,
    text: { format: body.text?.format ?? { type: 'text' } },
    tool_choice: body.tool_choice ?? 'auto',
    tools: body.tools ?? [],
    top_logprobs: 0,
    top_p: body.top_p ?? 1,
    truncation: body.truncation ?? 'disabled',
    user: body.user ?? null,
  }
}

/** `numReasoningTokens`: of the output. */
export function responseUsage(usage: Usage, numReasoningTokens: number): ResponseUsage {
  return {
    input_tokens: usage.prompt_tokens,
    input_tokens_details: { cached_tokens: usage.prompt_tokens_details.cached_tokens },
    output_tokens: usage.completion_tokens,
    output_tokens_details: { reasoning_tokens: numReasoningTokens },
    total_tokens: usage.total_tokens,
  }
}

export const statusOf = (reason: GenerationResult['reason'] | undefined) =>
  reason === 'length' ? ('incomplete' as const) : ('completed' as const)
