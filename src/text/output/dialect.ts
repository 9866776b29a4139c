/** How a model writes what is not content: which family's calls, which tags around reasoning. */
import type { Tokenizer } from '../tokenizer.ts'
import { familyOf, toolFamilies, type ToolFamilyName } from './families/index.ts'
import type { ToolFamily } from './families/family.ts'
import type { ReasoningTags } from './reasoning-parser.ts'

const reasoningTags = {
  think: { open: '<think>', close: '</think>' },
  mistral: { open: '[THINK]', close: '[/THINK]' },
} as const satisfies Record<string, ReasoningTags>

/** What a person may choose; `auto` follows the chat template. */
export type ToolParserName = 'auto' | ToolFamilyName
export type ReasoningParserName = 'auto' | 'none' | keyof typeof reasoningTags

export const reasoningParserNames = ['auto', 'none', ...Object.keys(reasoningTags)] as ReasoningParserName[]

export interface Dialect {
  readonly family: ToolFamily
  /** Undefined: it does not reason, or nobody wants that split off. */
  readonly reasoning: ReasoningTags | undefined
  /** Special tokens whose text the parsers must see. */
  readonly shownTokenIds: ReadonlySet<number>
}

export interface DialectOptions {
  readonly toolParser: ToolParserName
  readonly reasoningParser: ReasoningParserName
}

export function dialectOf(tokenizer: Tokenizer, { toolParser, reasoningParser }: DialectOptions): Dialect {
  const template = tokenizer.chatTemplate
  const family = toolParser === 'auto' ? familyOf(template) : toolFamilies[toolParser]
  const reasoning = reasoningIn(template ?? '', reasoningParser)
  const markers = [...family.markers, ...(reasoning === undefined ? [] : [reasoning.open, reasoning.close])]
  const tokens = markers.map((marker) => tokenizer.encode(marker, { addSpecial: false, parseSpecial: true }))
  const shownTokenIds = new Set(tokens.filter(({ length }) => length === 1).flat())
  return { family, reasoning, shownTokenIds }
}

function reasoningIn(template: string, chosen: ReasoningParserName): ReasoningTags | undefined {
  if (chosen === 'none') return undefined
  if (chosen !== 'auto') return reasoningTags[chosen]
  return Object.values(reasoningTags).find(({ close }) => template.includes(close))
}
