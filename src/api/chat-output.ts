/** How the answer to a chat is read: which calls and which reasoning may be in it. */
import { randomBytes } from 'node:crypto'
import type { ToolFamily } from '../text/output/families/family.ts'
import { createOutputParser } from '../text/output/output-parser.ts'
import type { ChatPrompt } from './chat-prompt.ts'
import type { ApiContext } from './context.ts'
import type { OutputTerms } from './generation.ts'
import type { ChatRequest } from './schemas/chat.ts'

type OutputFields = Pick<ChatRequest, 'tools' | 'tool_choice' | 'parallel_tool_calls' | 'include_reasoning'>

export function chatOutput({ dialect }: ApiContext, body: OutputFields, prompt: ChatPrompt): OutputTerms {
  const { family, reasoning, shownTokenIds } = dialect
  const tools = body.tool_choice === 'none' ? [] : (body.tools ?? [])
  const names = new Set(tools.map((tool) => tool.function.name))
  const newId = () => newCallId(family)
  return {
    shownTokenIds,
    isOneCall: body.parallel_tool_calls === false || typeof body.tool_choice === 'object',
    createParser: () =>
      createOutputParser({
        reasoning: reasoning && {
          tags: reasoning,
          isOpen: prompt.isReasoning,
          isHidden: body.include_reasoning === false,
        },
        calls: names.size === 0 ? undefined : { syntax: family.syntax(names), newId },
        opening: prompt.callOpening,
      }),
  }
}

const alphabet = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'

function newCallId({ callId }: ToolFamily): string {
  let id = callId.prefix
  for (const byte of randomBytes(callId.numCharacters)) id += alphabet.charAt(byte % alphabet.length)
  return id
}
