import type { GenerationRequest } from '../core/request.ts'
import type { SequenceView } from './sequence.ts'

export type Admission =
  | { readonly kind: 'added'; readonly sequence: SequenceView }
  /** The request can never run here. */
  | { readonly kind: 'rejected'; readonly message: string }

/** Sequences of one namespace share KV. */
export function namespaceOf({ cacheSalt }: GenerationRequest): string {
  return cacheSalt === undefined ? '' : `salt:${cacheSalt}`
}

/** Why a prompt that leaves no room for a token is refused. */
export function tooLong(numPrompt: number, maxLength: number): string {
  return (
    `The prompt has ${numPrompt} tokens; at most ${maxLength - 1} fit beside one generated token. ` +
    `It is ${numPrompt + 1 - maxLength} tokens too long.`
  )
}
