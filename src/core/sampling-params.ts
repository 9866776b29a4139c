/** How the next token is chosen. All fields are present: defaults are applied where a request enters. */
export interface SamplingParams {
  /** 0 means greedy: the highest logit, ties to the lowest token id. */
  readonly temperature: number
  /** 0 means no limit. */
  readonly topK: number
  readonly topP: number
  readonly minP: number
  readonly presencePenalty: number
  readonly frequencyPenalty: number
  /** Multiplicative, over prompt and output tokens; 1 means none. */
  readonly repetitionPenalty: number
  /** Token id to additive bias. */
  readonly logitBias: ReadonlyMap<number, number>
  /** Integer. Same seed and same tokens before give the same token, whatever else is in the batch. */
  readonly seed: number
  /** How many alternatives to report per token; undefined: no logprobs at all. */
  readonly topLogprobs: number | undefined
}

export const greedySampling: SamplingParams = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  presencePenalty: 0,
  frequencyPenalty: 0,
  repetitionPenalty: 1,
  logitBias: new Map(),
  seed: 0,
  topLogprobs: undefined,
}

/** Natural-log probabilities of the model's own distribution (temperature 1, before penalties). */
export interface TokenLogprobs {
  readonly logprob: number
  readonly top: readonly { readonly tokenId: number; readonly logprob: number }[]
}
