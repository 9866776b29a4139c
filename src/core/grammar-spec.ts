/**
 * What an answer's text must look like. Plain data: it goes from a request to the engine, and is compiled there by
 * content. `src/grammar/` reads it.
 */
export type GrammarSpec =
  /** Any JSON object. */
  | { readonly kind: 'jsonObject' }
  /** JSON that validates against a schema (draft 2020-12, the part that `docs/structured-output.md` lists). */
  | { readonly kind: 'jsonSchema'; readonly schema: unknown }
  /** A regular expression that the whole text matches. */
  | { readonly kind: 'regex'; readonly pattern: string }
  /** One of these texts. */
  | { readonly kind: 'choice'; readonly options: readonly string[] }
  /** GBNF, with the start symbol `root`. */
  | { readonly kind: 'gbnf'; readonly source: string }
  /** This text, spelled or as the special token that stands for it. */
  | { readonly kind: 'marker'; readonly text: string }
  /** Any text up to the first place where it says `marker`, and that, spelled or as a special token. */
  | ({ readonly kind: 'until' } & FreeText)
  /** Any text that does not say `marker`. */
  | ({ readonly kind: 'without' } & FreeText)
  | { readonly kind: 'sequence'; readonly parts: readonly GrammarSpec[] }
  | { readonly kind: 'anyOf'; readonly options: readonly GrammarSpec[] }
  /** `max` undefined: no limit. */
  | {
      readonly kind: 'repeat'
      readonly part: GrammarSpec
      readonly min: number
      readonly max?: number | undefined
    }

export interface FreeText {
  /** Empty: no place is one. */
  readonly marker: string
  /** Characters that its first one, white space aside, is none of. */
  readonly notFirst?: string
}

/** The one text. */
export function textSpec(text: string): GrammarSpec {
  return { kind: 'choice', options: [text] }
}
