/** Words whose tokens prompts are made of: a prompt of so many of them has exactly so many tokens. */
import { z } from 'zod'
import { fetchJson } from './http-client.ts'
import type { Prompt } from './targets/adapter.ts'
import type { Target } from './targets/target.ts'

/** Common words: about one token each in large vocabularies, never less in any. */
const words = (
  'time year people way day man thing woman life child world school state family student group country problem ' +
  'hand part place case week company system program question work government number night point home water room ' +
  'mother area money story fact month lot right study book eye job word business issue side kind head house ' +
  'friend father power hour game line end member law car city community name president team minute idea body ' +
  'information back parent face others level office door health person art war history party result change ' +
  'morning reason research girl guy moment air teacher force education foot boy age policy music market sense'
).split(' ')

/** Plain tokens are drawn by index; what an index stands for differs between servers. */
export type Vocabulary =
  | { readonly kind: 'tokens'; readonly ids: readonly number[] }
  | { readonly kind: 'words'; readonly words: readonly string[] }

export function vocabularySize(vocabulary: Vocabulary): number {
  return vocabulary.kind === 'tokens' ? vocabulary.ids.length : vocabulary.words.length
}

const tokenList = z.object({ tokens: z.array(z.number().int().min(0)).min(16) })

/** Token ids where the server takes them and can tokenise (as vLLM, llama-server and Switchyard do), else words. */
export async function findVocabulary({ endpoint, adapter, model }: Target): Promise<Vocabulary> {
  if (!adapter.takesTokens) return { kind: 'words', words }
  const text = words.join(' ')
  const body = { model, prompt: text, content: text, add_special_tokens: false, add_special: false }
  const answer = tokenList.safeParse(await fetchJson(endpoint, '/tokenize', body).catch(() => undefined))
  if (!answer.success) return { kind: 'words', words }
  return { kind: 'tokens', ids: [...new Set(answer.data.tokens)] }
}

/** What a prompt is kept as: token ids, or positions in the list of words. */
export function unitsOf(vocabulary: Vocabulary, indices: readonly number[]): number[] {
  return vocabulary.kind === 'tokens' ? indices.map((index) => vocabulary.ids[index]!) : [...indices]
}

export function promptOf(vocabulary: Vocabulary, units: readonly number[]): Prompt {
  if (vocabulary.kind === 'tokens') return { tokens: units }
  return { text: units.map((unit) => vocabulary.words[unit]!).join(' '), numTokens: units.length }
}
