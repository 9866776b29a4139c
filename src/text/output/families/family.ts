import type { CallSyntax } from '../call-parser.ts'
import type { CallShape } from '../forced-call.ts'

/** How models of one family call tools. One file each; `index.ts` lists them. */
export interface ToolFamily {
  readonly name: string
  /** Marks that may be special tokens, which are otherwise left out of the text. */
  readonly markers: readonly string[]
  /** Ids that its templates take; letters and digits. */
  readonly callId: { readonly prefix: string; readonly numCharacters: number }
  /** An id from elsewhere as its templates take it, the same for the same; undefined: they take any. */
  fitId?(id: string): string
  /** Whether a model with this chat template is of the family. */
  fits(template: string): boolean
  /** `names`: the tools that may be called. */
  syntax(names: ReadonlySet<string>): CallSyntax
  /** How its calls are asked for. */
  readonly shape: CallShape
}

export const plainCallId = { prefix: 'call_', numCharacters: 24 }
