/**
 * A model's chat template (Jinja, from its GGUF file): messages to prompt text. The prompt's tokens: `encodePrompt`.
 * It knows no HTTP; messages have OpenAI's shape because that is what templates are written for.
 */
import { Environment, Interpreter, Template } from '@huggingface/jinja'

import { ServingError } from '../core/errors.ts'
import { templateMessages, type ChatMessage } from './chat-messages.ts'
import { strftime } from './strftime.ts'
import { habitsOf } from './template-habits.ts'
import type { Tokenizer } from './tokenizer.ts'
import { callsInText, describedTools, introduceTools } from './tools-in-text.ts'

export interface ChatTemplate {
  /**
   * The prompt for these messages.
   * @throws {ServingError} TEMPLATE_FAILED with the template's own words when it refuses them; INVALID_REQUEST for
   * content that is not text.
   */
  render(messages: readonly ChatMessage[], options: RenderOptions): string
}

export interface RenderOptions {
  /** Tool definitions as the API received them. */
  readonly tools?: readonly unknown[]
  /** End with the opening of the assistant's turn. */
  readonly addGenerationPrompt: boolean
  /** Further variables for the template, such as `enable_thinking`; they cannot replace the ones above. */
  readonly extra?: Readonly<Record<string, unknown>>
}

export interface TemplateOptions {
  readonly bosText: string
  readonly eosText: string
  /** The date that `strftime_now` shows; the machine's by default. */
  readonly now?: () => Date
}

/** What a model without a template gets: ChatML, without tools. */
const chatMl =
  "{%- for message in messages -%}{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' -}}" +
  "{%- endfor -%}{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"

/**
 * Compiles a template once for many renderings. Without a source (the model file has none) it is ChatML.
 * @throws {ServingError} INVALID_MODEL when the template cannot be parsed.
 */
export function createChatTemplate(source: string | undefined, options: TemplateOptions): ChatTemplate {
  const template = compile(source ?? chatMl)
  const globals = templateGlobals(options)
  const run: Run = (messages, render) =>
    interpret(template, {
      ...render.extra,
      ...globals,
      messages,
      ...(render.tools === undefined || render.tools.length === 0 ? {} : { tools: render.tools }),
      add_generation_prompt: render.addGenerationPrompt,
    })
  const habits = habitsOf(({ messages, tools }) =>
    run(messages, { addGenerationPrompt: false, ...(tools && { tools }) }),
  )

  return {
    render(messages, render) {
      try {
        const tools = habits.bareTools ? (render.tools ?? []) : describedTools(render.tools ?? [])
        const told = habits.listsTools || tools.length === 0 ? messages : introduceTools(messages, tools)
        const prepared = templateMessages(habits.showsCalls ? told : callsInText(told), habits)
        return run(prepared, { ...render, tools })
      } catch (cause) {
        throw cause instanceof ServingError ? cause : templateFailure(cause)
      }
    },
  }
}

type Run = (messages: readonly Readonly<Record<string, unknown>>[], render: RenderOptions) => string

/** The names every template may count on, as Hugging Face's `apply_chat_template` defines them. */
function templateGlobals(options: TemplateOptions): Record<string, unknown> {
  return {
    true: true,
    false: false,
    none: null,
    True: true,
    False: false,
    None: null,
    bos_token: options.bosText,
    eos_token: options.eosText,
    range,
    raise_exception: (message: unknown) => {
      throw new Error(String(message))
    },
    strftime_now: (format: string) => strftime(options.now?.() ?? new Date(), format),
  }
}

/** `Template.render` brings its own `strftime_now`, which follows the locale of the machine. */
function interpret(template: Template, variables: Record<string, unknown>): string {
  const environment = new Environment()
  for (const [name, value] of Object.entries(variables)) environment.set(name, value)
  return String(new Interpreter(environment).run(template.parsed).value)
}

function range(first: number, second?: number, step = 1): number[] {
  const [start, stop] = second === undefined ? [0, first] : [first, second]
  const length = step === 0 ? 0 : Math.max(0, Math.ceil((stop - start) / step))
  return Array.from({ length }, (_, index) => start + index * step)
}

/** The tokens of a rendered prompt, with the vocabulary's BOS and EOS once, whether or not the template wrote them. */
export function encodePrompt(tokenizer: Tokenizer, prompt: string): number[] {
  const frame = tokenizer.encode('', { addSpecial: true, parseSpecial: true })
  const tokens = tokenizer.encode(prompt, { addSpecial: true, parseSpecial: true })
  const opening = frame[0]
  const closing = frame.length > 1 ? frame.at(-1) : undefined
  if (opening !== undefined && tokens[0] === opening && tokens[1] === opening) tokens.shift()
  if (closing !== undefined && tokens.at(-1) === closing && tokens.at(-2) === closing) tokens.pop()
  return tokens
}

function compile(source: string): Template {
  try {
    return new Template(source)
  } catch (cause) {
    throw new ServingError(
      'INVALID_MODEL',
      `The model's chat template cannot be parsed: ${messageOf(cause)}`,
      { cause },
    )
  }
}

function templateFailure(cause: unknown): ServingError {
  return new ServingError(
    'TEMPLATE_FAILED',
    `The model's chat template refuses these messages: ${messageOf(cause)}`,
    {
      param: 'messages',
      cause,
    },
  )
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
