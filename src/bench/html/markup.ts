/** HTML as data: a template tag that escapes everything which is not markup itself, so that escaping is no habit. */

/** Text that is markup already. */
export interface Markup {
  readonly markup: string
}

export type Fragment = string | number | Markup | undefined | false | readonly Fragment[]

/** Values are escaped for text and quoted attributes; markup and lists of it are taken as they are. */
export function html(parts: TemplateStringsArray, ...values: readonly Fragment[]): Markup {
  return { markup: parts.map((part, index) => part + toMarkup(values[index])).join('') }
}

/** Only for constants of ours: style and script. */
export const raw = (markup: string): Markup => ({ markup })

function escapeText(value: string): string {
  return value.replaceAll(unsafe, (character) => entities[character] ?? '\u{FFFD}')
}

function toMarkup(value: Fragment): string {
  if (value === undefined || value === false) return ''
  if (typeof value === 'string') return escapeText(value)
  if (typeof value === 'number') return String(value)
  return isList(value) ? value.map(toMarkup).join('') : value.markup
}

const isList = (value: Markup | readonly Fragment[]): value is readonly Fragment[] => Array.isArray(value)

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

// Besides HTML's own: control characters and halves of surrogate pairs, which no page may contain, and the
// characters that turn the direction of text, which would let a name rearrange what stands around it.
const unsafe = new RegExp(
  String.raw`[&<>"']|[\u{0}-\u{8}\u{B}\u{C}\u{E}-\u{1F}\u{7F}-\u{9F}]|[\u{FFFE}\u{FFFF}]|[\u{202A}-\u{202E}\u{2066}-\u{2069}]|\p{Surrogate}`,
  'gu',
)
