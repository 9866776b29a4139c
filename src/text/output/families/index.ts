import type { ToolFamily } from './family.ts'
import { hermes } from './hermes.ts'
import { json } from './json.ts'
import { llama } from './llama.ts'
import { mistral } from './mistral.ts'

/** In the order in which templates are tried; the last one fits all. */
export const toolFamilies = { mistral, hermes, llama3_json: llama, json } as const satisfies Record<
  string,
  ToolFamily
>

export type ToolFamilyName = keyof typeof toolFamilies

export const toolFamilyNames = Object.keys(toolFamilies) as ToolFamilyName[]

/** The family of a model by its chat template. */
export function familyOf(template: string | undefined): ToolFamily {
  return Object.values(toolFamilies).find((family) => family.fits(template ?? '')) ?? json
}
