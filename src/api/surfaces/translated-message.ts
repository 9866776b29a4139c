/** A message of a surface's conversation in the form of `ChatRequest`; fields that are not set are not there. */
export interface TranslatedMessage {
  role: string
  content: string
  name?: string
  tool_call_id?: string
  reasoning_content?: string
  tool_calls?: TranslatedCall[]
}

export interface TranslatedCall {
  readonly id?: string
  readonly type: 'function'
  /** `arguments` is the text of a JSON object. */
  readonly function: { readonly name: string; readonly arguments: string }
}
