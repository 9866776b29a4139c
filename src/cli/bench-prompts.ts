/** Prompts of a given length: seeded random words, so that no two requests share a prefix by chance. */
import type { RandomStream } from '../core/random.ts'
import type { BenchPrompt } from './bench-client.ts'
import { requestJson, type Endpoint } from './openai-client.ts'

/** Common words: about one token each in large vocabularies, never less in any. */
const words = (
  'time year people way day man thing woman life child world school state family student group country problem ' +
  'hand part place case week company system program question work government number night point home water room ' +
  'mother area money story fact month lot right study book eye job word business issue side kind head house'
).split(' ')

export interface PromptOptions {
  readonly count: number
  readonly numTokens: number
  readonly random: RandomStream
}

/** Exact where the server has `/tokenize` (of vLLM's or llama-server's kind), else one word for one token. */
export async function makePrompts(
  endpoint: Endpoint,
  model: string,
  { count, numTokens, random }: PromptOptions,
): Promise<BenchPrompt[]> {
  const prompts: BenchPrompt[] = []
  let canTokenize = true
  for (let index = 0; index < count; index += 1) {
    const text = Array.from({ length: numTokens }, () => words[random.below(words.length)]).join(' ')
    const tokens: readonly number[] | undefined = canTokenize
      ? await tokenize(endpoint, model, text)
      : undefined
    canTokenize = tokens !== undefined && tokens.length >= numTokens
    if (tokens !== undefined && canTokenize) prompts.push({ tokens: tokens.slice(0, numTokens) })
    else prompts.push({ text, approximateTokens: numTokens })
  }
  return prompts
}

async function tokenize(
  endpoint: Endpoint,
  model: string,
  text: string,
): Promise<readonly number[] | undefined> {
  try {
    const body = (await requestJson(endpoint, '/tokenize', { model, prompt: text, content: text })) as {
      tokens?: unknown
    }
    const { tokens } = body
    return Array.isArray(tokens) && tokens.every(Number.isInteger) ? (tokens as number[]) : undefined
  } catch {
    // Servers without the route answer in many ways; approximate prompts do for all of them.
    return undefined
  }
}
