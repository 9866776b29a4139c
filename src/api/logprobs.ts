/** Token probabilities in the two forms of OpenAI's APIs. */
import type { Tokenizer } from '../text/tokenizer.ts'
import type { TokenDetail } from './generation.ts'

const decoder = new TextDecoder()

export function chatLogprobs(tokenizer: Tokenizer, details: readonly TokenDetail[]) {
  const describe = (tokenId: number, logprob: number) => {
    const bytes = tokenizer.pieceBytes(tokenId, true)
    return { token: decoder.decode(bytes), logprob: finite(logprob), bytes: [...bytes] }
  }
  return {
    content: withLogprobs(details).map(({ tokenId, logprobs }) => ({
      ...describe(tokenId, logprobs.logprob),
      top_logprobs: logprobs.top.map((top) => describe(top.tokenId, top.logprob)),
    })),
    refusal: null,
  }
}

/** `offset`: characters of the answer before the first of these tokens. */
export function completionLogprobs(tokenizer: Tokenizer, details: readonly TokenDetail[], offset: number) {
  const textOf = (tokenId: number) => decoder.decode(tokenizer.pieceBytes(tokenId, true))
  let at = offset
  const known = withLogprobs(details)
  const offsets = known.map(({ tokenId }) => {
    const start = at
    at += textOf(tokenId).length
    return start
  })
  return {
    tokens: known.map(({ tokenId }) => textOf(tokenId)),
    token_logprobs: known.map(({ logprobs }) => finite(logprobs.logprob)),
    top_logprobs: known.map(({ logprobs }) =>
      Object.fromEntries(logprobs.top.map((top) => [textOf(top.tokenId), finite(top.logprob)])),
    ),
    text_offset: offsets,
  }
}

function withLogprobs(details: readonly TokenDetail[]) {
  return details.flatMap(({ tokenId, logprobs }) => (logprobs === undefined ? [] : [{ tokenId, logprobs }]))
}

/** JSON has no infinity. */
const finite = (logprob: number) => Math.max(logprob, -9999)
