import type { TextOrBlocks } from './schema.ts'

/**
 * A line that some coding agents put at the head of their system prompt, `x-...-billing-header: ...`. It says who pays,
 * changes with every request, and would make each prompt a new one to the prefix cache.
 */
const attribution = /^(?:x-[a-z0-9-]*(?:billing|attribution)[a-z0-9-]*:[^\n]*(?:\n|$))+/i

/** The system prompt as one text, without attribution; undefined when nothing is left. */
export function systemText(system: TextOrBlocks | undefined): string | undefined {
  const texts = typeof system === 'string' ? [system] : (system ?? []).map(({ text }) => text)
  const first = texts.findIndex((text) => text !== '')
  const kept = texts.map((text, index) => (index <= first ? text.replace(attribution, '') : text))
  const text = kept.filter((part) => part !== '').join('\n\n')
  return text === '' ? undefined : text
}
