/** The description as one page for people: no script, nothing from elsewhere. */
import type { OpenApiDocument, OperationJson } from './document.ts'

type Json = Readonly<Record<string, unknown>>

export function referencePage({ info, paths }: OpenApiDocument): string {
  const all = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  )
  const tags = [...new Set(all.map(({ operation }) => operation.tags[0]!))]
  const sections = tags.map((tag) => {
    const own = all.filter(({ operation }) => operation.tags[0] === tag)
    return `<h2 id="${anchor(tag)}">${escape(tag)}</h2>${own.map((each) => operationHtml(each)).join('')}`
  })
  const links = tags.map((tag) => `<a href="#${anchor(tag)}">${escape(tag)}</a>`).join('')
  return `<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(info.title)} API</title><style>${style}</style></head><body>
<header><h1>${escape(info.title)} <small>${escape(info.version)}</small></h1><p>${escape(info.description)}
Programs read <a href="openapi.json">openapi.json</a>.</p><nav>${links}</nav></header>
<main>${sections.join('')}</main></body></html>`
}

interface Listed {
  readonly path: string
  readonly method: string
  readonly operation: OperationJson
}

function operationHtml({ path, method, operation }: Listed): string {
  const { requestBody, parameters, summary, operationId } = operation
  const [type, media] = Object.entries(requestBody?.content ?? {})[0] ?? []
  const tables = [
    parameters.length === 0
      ? ''
      : table(
          'Parameters',
          parameters.map(({ name, in: place, schema }) => row(name, place === 'path', schema)),
        ),
    media === undefined ? '' : table(`Body (${type})`, fieldRows(media.schema)),
  ]
  const head = `<summary><b class="${method}">${method}</b> <code>${escape(path)}</code> <span>${escape(summary)}</span></summary>`
  return `<details id="${operationId}">${head}${tables.join('')}${answers(operation)}</details>`
}

function answers({ responses }: OperationJson): string {
  const { content = {} } = (responses['200'] ?? {}) as { content?: Record<string, { schema?: Json }> }
  return Object.entries(content)
    .map(([type, { schema }]) =>
      schema === undefined
        ? `<p>Answer: <code>${escape(type)}</code></p>`
        : table(`Answer (${type})`, fieldRows(schema)),
    )
    .join('')
}

function fieldRows(schema: Json): string[] {
  const required = (schema['required'] ?? []) as string[]
  const properties = (schema['properties'] ?? {}) as Record<string, Json>
  return Object.entries(properties)
    .toSorted(([a], [b]) => Number(required.includes(b)) - Number(required.includes(a)))
    .map(([name, field]) => row(name, required.includes(name), field))
}

function row(name: string, isRequired: boolean, schema: Json): string {
  const mark = isRequired ? '<i title="needed">*</i>' : ''
  const note = typeof schema['description'] === 'string' ? escape(schema['description']) : ''
  return `<tr><td><code>${escape(name)}</code>${mark}</td><td>${escape(typeText(schema))}</td><td>${note}</td></tr>`
}

const table = (title: string, rows: readonly string[]): string =>
  rows.length === 0 ? '' : `<h3>${escape(title)}</h3><table><tbody>${rows.join('')}</tbody></table>`

/** `string`, `integer 1..20`, `list of string`, `a | b`. */
function typeText(schema: Json): string {
  const { type, anyOf, enum: values, const: value, items, minimum, maximum } = schema
  if (value !== undefined) return JSON.stringify(value)
  if (Array.isArray(values)) return values.map((each) => JSON.stringify(each)).join(' | ')
  const choices = anyOf ?? schema['oneOf']
  if (Array.isArray(choices)) {
    const parts = (choices as Json[]).filter((part) => part['type'] !== 'null').map(typeText)
    return [...new Set(parts)].join(' | ')
  }
  if (type === 'array') return `list of ${typeText((items ?? {}) as Json)}`
  const names = [type].flat().filter((name) => typeof name === 'string' && name !== 'null')
  return `${names.length === 0 ? 'any' : names.join(' | ')}${rangeText(minimum, maximum)}`
}

/** Bounds that only say what a number can hold are left out. */
function rangeText(minimum: unknown, maximum: unknown): string {
  const [low, high] = [minimum, maximum].map((bound) =>
    typeof bound === 'number' && Math.abs(bound) < Number.MAX_SAFE_INTEGER ? String(bound) : '',
  )
  return low === '' && high === '' ? '' : ` ${low}..${high}`
}

const anchor = (tag: string): string => tag.toLowerCase().replaceAll(/\W+/g, '-')

const escapes: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
const escape = (text: string): string => text.replaceAll(/[&<>"]/g, (each) => escapes[each]!)

const style = `:root{color-scheme:light dark;--line:#8884;--soft:#8881;--post:#2a7d46;--get:#2f6fbf;--delete:#b8433a}
@media(prefers-color-scheme:dark){:root{--post:#6cc48a;--get:#7fb2ee;--delete:#ef8a80}}
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1rem}
h1 small{font-weight:400;opacity:.6}h2{margin:2rem 0 .5rem}h3{font-size:.85rem;margin:.8rem 0 .2rem;opacity:.7}
nav a{display:inline-block;margin-right:1rem}code{font:13px ui-monospace,monospace}
details{border:1px solid var(--line);border-radius:6px;margin:.4rem 0;padding:.4rem .8rem}
summary{cursor:pointer}summary span{opacity:.7;margin-left:.5rem}summary b{display:inline-block;min-width:4rem}
b.POST{color:var(--post)}b.GET{color:var(--get)}b.DELETE,i{color:var(--delete)}
table{border-collapse:collapse;width:100%}td{border-top:1px solid var(--line);padding:.25rem .5rem;vertical-align:top}
td:nth-child(1){width:14rem}td:nth-child(2){width:16rem;opacity:.8;overflow-wrap:anywhere}
@media(max-width:40rem){td,td:nth-child(n){display:block;width:auto}td+td{border:0;padding-top:0}
summary code{overflow-wrap:anywhere}summary span{display:block;margin:0}}`
