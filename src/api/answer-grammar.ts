/**
 * What a whole answer must look like: the calls that it must make, or the form that the request asks for, behind
 * reasoning if the model begins with that, or instead of it a call where there are tools.
 */
import { textSpec, type GrammarSpec } from '../core/grammar-spec.ts'
import type { Dialect } from '../text/output/dialect.ts'
import { forcedGrammar, forcedOpening } from '../text/output/forced-call.ts'
import type { ChatPrompt } from './chat-prompt.ts'
import { callableTools } from './forced-tools.ts'
import type { ChatRequest } from './schemas/chat.ts'
import { grammarOf } from './structure.ts'

/** @throws {ServingError} INVALID_REQUEST naming the field, and within a schema the keyword, that cannot be kept to. */
export function answerGrammar(
  dialect: Dialect,
  body: ChatRequest,
  prompt: Pick<ChatPrompt, 'text' | 'grammar'>,
): GrammarSpec | undefined {
  if (prompt.grammar !== undefined) return prompt.grammar
  const asked = grammarOf(body)
  if (asked === undefined) return undefined
  const content = orCalls(asked, dialect, body)
  const { reasoning } = dialect
  if (reasoning === undefined || prompt.text.trimEnd().endsWith(reasoning.close)) return content
  const reasoned: GrammarSpec = {
    kind: 'sequence',
    parts: [
      textSpec(reasoning.open),
      { kind: 'until', marker: reasoning.close },
      { kind: 'regex', pattern: '\\s{0,4}' },
      content,
    ],
  }
  return { kind: 'anyOf', options: [content, reasoned] }
}

function orCalls(asked: GrammarSpec, { family: { shape } }: Dialect, body: ChatRequest): GrammarSpec {
  if ((body.tools ?? []).length === 0 || body.tool_choice === 'none') return asked
  const forced = { name: undefined, isOneCall: body.parallel_tool_calls === false }
  const calls: GrammarSpec = {
    kind: 'sequence',
    parts: [textSpec(forcedOpening(shape, forced)), forcedGrammar(shape, callableTools(body), forced)],
  }
  return { kind: 'anyOf', options: [asked, calls] }
}
