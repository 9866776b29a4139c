/**
 * docs/compatibility.md from the requests that the tests sent: `npm run docs:compatibility` runs them and writes it, and
 * every run of all unit tests compares (`test/support/compatibility-check.ts`). What a client may send is read from the
 * types of the official clients.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openApiDocument, operations } from '../src/api/openapi/document.ts'
import type { Exercise } from '../test/support/exercise-log.ts'

const root = fileURLToPath(new URL('../', import.meta.url))

/** Interface in a client's types that lists the fields of a route. */
const clientTypes: Readonly<Record<string, readonly [file: string, name: string]>> = {
  'POST /v1/chat/completions': [
    'openai/resources/chat/completions/completions.d.ts',
    'ChatCompletionCreateParamsBase',
  ],
  'POST /v1/completions': ['openai/resources/completions.d.ts', 'CompletionCreateParamsBase'],
  'POST /v1/responses': ['openai/resources/responses/responses.d.ts', 'ResponseCreateParamsBase'],
  'POST /v1/embeddings': ['openai/resources/embeddings.d.ts', 'EmbeddingCreateParams'],
  'POST /v1/batches': ['openai/resources/batches.d.ts', 'BatchCreateParams'],
  'POST /v1/messages': ['@anthropic-ai/sdk/resources/messages/messages.d.ts', 'MessageCreateParamsBase'],
}

export function clientFields(route: string): readonly string[] {
  const source = clientTypes[route]
  if (source === undefined) return []
  const [file, name] = source
  const text = readFileSync(join(root, 'node_modules', file), 'utf8')
  const [, body] = new RegExp(`interface ${name} (?:extends \\S+ )?\\{\\n([^]*?)\\n\\}`).exec(text) ?? []
  if (body === undefined) throw new Error(`${file} has no ${name}`)
  return [...body.matchAll(/^ {4}(\w+)\??:/gm)].map(([, field]) => field!)
}

/** Fields that the server's schema has, whether or not a client has them. */
function schemaFields(route: string): readonly string[] {
  const [method, url] = route.split(' ') as [string, string]
  const { requestBody } = openApiDocument('').paths[url]?.[method.toLowerCase()] ?? {}
  const { properties = {} } = (requestBody?.content['application/json']?.schema ?? {}) as {
    properties?: object
  }
  return Object.keys(properties)
}

export function compatibilityDocs(exercises: readonly Exercise[]): string {
  const seen = new Map<string, { ok: boolean; fields: Map<string, boolean> }>()
  for (const { route, fields, ok } of exercises) {
    const known = seen.get(route) ?? { ok: false, fields: new Map<string, boolean>() }
    known.ok ||= ok
    for (const field of fields) known.fields.set(field, ok || known.fields.get(field) === true)
    seen.set(route, known)
  }
  const rows = Object.keys(operations).map(
    (route) => `| \`${route}\` | ${seen.get(route)?.ok === true ? 'tested' : 'not tested'} |`,
  )
  const sections = Object.keys(operations)
    .filter((route) => schemaFields(route).length > 0)
    .map((route) => fieldSection(route, seen.get(route)?.fields ?? new Map()))
  return `${head}| endpoint | |\n|---|---|\n${rows.join('\n')}\n${sections.join('')}`
}

function fieldSection(route: string, fields: ReadonlyMap<string, boolean>): string {
  const own = schemaFields(route)
  const all = [...new Set([...clientFields(route), ...own])].toSorted()
  const statusOf = (field: string): string => {
    if (!own.includes(field)) return 'ignored'
    const answered = fields.get(field)
    return answered === true ? 'tested' : answered === false ? 'errors only' : 'accepted'
  }
  const rows = all.map((field) => `| \`${field}\` | ${statusOf(field)} |`)
  return `\n## ${route}\n\n| field | |\n|---|---|\n${rows.join('\n')}\n`
}

const head = `# Compatibility

Written by \`npm run docs:compatibility\` from the requests that the unit tests sent to servers, and from the types of the
official clients. *tested*: a test sent it and got an answer; *accepted*: the server reads it, but no test of this
suite sent it; *errors only*: all that sent it got an error; *ignored*: clients may send it, without effect.

`

function main(): void {
  execFileSync('npx', ['vitest', 'run', '--project', 'unit'], {
    cwd: root,
    env: { ...process.env, SWITCHYARD_WRITE_COMPATIBILITY: 'yes' },
    stdio: ['ignore', 'inherit', 'inherit'],
  })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main()
