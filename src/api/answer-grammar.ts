/**
 * What a whole answer must look like: the calls that it must make; or the form that the request asks for, or instead of
 * it a call where there are tools; or any text, in which calls of strict tools keep to their schemas. All that behind
 * reasoning, where the prompt has opened it or the model begins with it.
 */
import type { GrammarSpec } from '../core/grammar-spec.ts'
import type { Dialect } from '../text/output/dialect.ts'
import { callsAlone, freeGrammar } from '../text/output/free-calls.ts'
import { sequence } from '../text/output/forced-call.ts'
import type { ReasoningTags } from '../text/output/reasoning-parser.ts'
import type { ChatPrompt } from './chat-prompt.ts'
import { callableTools, strictTools } from './forced-tools.ts'
import type { ChatRequest } from './schemas/chat.ts'
import { grammarOf } from './structure.ts'

type PromptEnd = Pick<ChatPrompt, 'text' | 'isReasoning' | 'grammar'>

/** @throws {ServingError} INVALID_REQUEST naming the field, and within a schema the keyword, that cannot be kept to. */
export function answerGrammar(
  dialect: Dialect,
  body: ChatRequest,
  prompt: PromptEnd,
): GrammarSpec | undefined {
  const { reasoning } = dialect
  const { grammar: forced, isReasoning } = prompt
  if (forced !== undefined) return isReasoning && reasoning !== undefined ? behind(reasoning, forced) : forced
  const asked = grammarOf(body)
  const content = asked === undefined ? strictCalls(dialect, body) : orCalls(asked, dialect, body)
  if (content === undefined || reasoning === undefined) return content
  if (prompt.text.trimEnd().endsWith(reasoning.close)) return content
  if (isReasoning) {
    const reasoned = behind(reasoning, content)
    // Who is free to say anything may also say nothing.
    return asked === undefined ? anyOf(reasoned, { kind: 'without', marker: reasoning.close }) : reasoned
  }
  return anyOf(content, sequence(space, { kind: 'marker', text: reasoning.open }, behind(reasoning, content)))
}

const space: GrammarSpec = { kind: 'regex', pattern: '\\s{0,4}' }

const anyOf = (...options: readonly GrammarSpec[]): GrammarSpec => ({ kind: 'anyOf', options })

const behind = ({ close }: ReasoningTags, content: GrammarSpec): GrammarSpec =>
  sequence({ kind: 'until', marker: close }, space, content)

function orCalls(asked: GrammarSpec, { family: { shape } }: Dialect, body: ChatRequest): GrammarSpec {
  if ((body.tools ?? []).length === 0 || body.tool_choice === 'none') return asked
  return anyOf(asked, callsAlone(shape, callableTools(body), numCalls(body)))
}

/** Undefined where no tool is strict: a model's calls are then its own affair. */
function strictCalls({ family: { shape } }: Dialect, body: ChatRequest): GrammarSpec | undefined {
  if (body.tool_choice === 'none') return undefined
  const tools = strictTools(body)
  return tools && freeGrammar(shape, tools, numCalls(body))
}

const numCalls = (body: ChatRequest) => ({ isOneCall: body.parallel_tool_calls === false })
