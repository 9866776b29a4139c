/** The call that a request's choice of tools asks for, and the grammar that keeps the answer to it. */
import { ServingError } from '../core/errors.ts'
import type { GrammarSpec } from '../core/grammar-spec.ts'
import type { CallableTool, ForcedCall } from '../text/output/forced-call.ts'
import type { ChatRequest } from './schemas/chat.ts'
import { checkedSpec } from './structure.ts'

export type ToolFields = Partial<Pick<ChatRequest, 'tools' | 'tool_choice' | 'parallel_tool_calls'>>

/**
 * Undefined when the answer need not call anything.
 * @throws {ServingError} INVALID_REQUEST for a choice among tools that is none.
 */
export function forcedCall({ tools = [], tool_choice: choice, ...body }: ToolFields): ForcedCall | undefined {
  if (choice === undefined || choice === 'none' || choice === 'auto') return undefined
  const names = tools.map((tool) => tool.function.name)
  const refuse = (message: string) => new ServingError('INVALID_REQUEST', message, { param: 'tool_choice' })
  if (names.length === 0) throw refuse("'tool_choice' asks for a call, but there are no 'tools'.")
  const isOneCall = body.parallel_tool_calls === false
  if (choice === 'required') return { name: names.length === 1 ? names[0] : undefined, isOneCall }
  const { name } = choice.function
  if (!names.includes(name)) throw refuse(`'tool_choice' names '${name}', which is not among 'tools'.`)
  return { name, isOneCall: true }
}

/**
 * With the grammars of their arguments.
 * @throws {ServingError} INVALID_REQUEST when a strict tool has a schema that cannot be kept to.
 */
export function callableTools({ tools = [] }: ToolFields): readonly CallableTool[] {
  return tools.map((tool, index) => ({
    name: tool.function.name,
    arguments: argumentsSpec(tool.function, `tools[${index}].function.parameters`),
  }))
}

/**
 * Those of a request whose model is free to call: a tool that is not strict takes any object. Undefined when none is.
 * @throws {ServingError} as `callableTools`.
 */
export function strictTools({ tools = [] }: ToolFields): readonly CallableTool[] | undefined {
  if (!tools.some((tool) => tool.function.strict === true)) return undefined
  return tools.map((tool, index) => ({
    name: tool.function.name,
    arguments:
      tool.function.strict === true
        ? argumentsSpec(tool.function, `tools[${index}].function.parameters`)
        : { kind: 'jsonObject' },
  }))
}

type ToolFunction = NonNullable<ChatRequest['tools']>[number]['function']

/** A tool that is not strict, and whose schema cannot be kept to, takes any object. */
function argumentsSpec({ parameters, strict }: ToolFunction, param: string): GrammarSpec {
  const schema = parameters === undefined ? { additionalProperties: false } : parameters
  try {
    return checkedSpec({ kind: 'jsonSchema', schema: { ...schema, type: 'object' } }, param)
  } catch (error) {
    if (strict === true || !(error instanceof ServingError)) throw error
    return { kind: 'jsonObject' }
  }
}
