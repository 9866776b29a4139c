/** From where somebody wrote values to one checked object. A flag wins over the environment, that over the file. */
import { ServingError } from '../core/errors.ts'
import { readConfigFile } from './config-file.ts'
import { settings, type Config } from './schema.ts'
import type { Setting, SettingTable, SettingValues } from './setting.ts'
import { suggest } from './suggest.ts'

export interface Sources {
  readonly flags: ReadonlyMap<string, string>
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly file?: { readonly path: string; readonly values: ReadonlyMap<string, unknown> } | undefined
}

export interface Resolved<Values> {
  readonly values: Values
  /** Where each value came from, by key: `--port`, `SWITCHYARD_PORT`, `server.yaml` or `default`. */
  readonly origins: ReadonlyMap<string, string>
}

const variablePrefix = 'SWITCHYARD_'

export const environmentName = (key: string): string =>
  variablePrefix + key.toUpperCase().replaceAll('-', '_')

export const camelCase = (key: string): string =>
  key.replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase())

/** @throws {ServingError} INVALID_CONFIG: one line that says where the value was written and what is expected. */
export function resolveSettings<Table extends SettingTable>(
  table: Table,
  sources: Sources,
): Resolved<SettingValues<Table>> {
  const values: Record<string, unknown> = {}
  const origins = new Map<string, string>()
  for (const [key, known] of Object.entries(table)) {
    const written = findValue(key, sources)
    values[camelCase(key)] = written === undefined ? known.default : check(known, written)
    origins.set(key, written?.origin ?? 'default')
  }
  return { values: values as SettingValues<Table>, origins }
}

/** The server's settings: `--config` or `SWITCHYARD_CONFIG` names the file, if there is one. */
export function loadConfig(
  flags: ReadonlyMap<string, string>,
  env: Readonly<Record<string, string | undefined>>,
): Resolved<Config> {
  checkEnvironment(env)
  const path = flags.get('config') ?? (env['SWITCHYARD_CONFIG'] || undefined)
  const file = path === undefined ? undefined : { path, values: readConfigFile(path, settings) }
  return resolveSettings(settings, { flags, env, file })
}

/** Read elsewhere: this one by `loadConfig`, the others where libraries are looked for. */
const otherVariables = ['CONFIG', 'HOME', 'GGML_DIR', 'GGML_LOG'].map((name) => `${variablePrefix}${name}`)

/**
 * A variable that is nearly a setting is a slip of the pen. Others are let be: orchestrators set some of their own
 * (`SWITCHYARD_SERVICE_HOST`).
 * @throws {ServingError} INVALID_CONFIG
 */
function checkEnvironment(env: Readonly<Record<string, string | undefined>>): void {
  const known = new Set([...Object.keys(settings).map(environmentName), ...otherVariables])
  for (const name of Object.keys(env)) {
    if (!name.startsWith(variablePrefix) || known.has(name) || env[name] === '') continue
    const meant = suggest(
      name.slice(variablePrefix.length),
      [...known].map((each) => each.slice(variablePrefix.length)),
    )
    if (meant === undefined) continue
    throw new ServingError(
      'INVALID_CONFIG',
      `Unknown environment variable ${name}. Did you mean ${variablePrefix}${meant}?`,
    )
  }
}

interface Written {
  readonly origin: string
  /** How an error names the place. */
  readonly place: string
  readonly value: unknown
}

function findValue(key: string, { flags, env, file }: Sources): Written | undefined {
  const flag = flags.get(key)
  if (flag !== undefined) return { origin: `--${key}`, place: `--${key}`, value: flag }
  const name = environmentName(key)
  const variable = env?.[name]
  // An empty variable is how shells and compose files say "not set".
  if (variable !== undefined && variable !== '') return { origin: name, place: name, value: variable }
  if (file?.values.has(key) !== true) return undefined
  return { origin: file.path, place: `${file.path}: ${key}`, value: file.values.get(key) }
}

function check(known: Setting<unknown>, { place, value }: Written): unknown {
  const result = known.kind.schema.safeParse(value)
  if (result.success) return result.data
  const got = known.secret ? 'something else' : JSON.stringify(value)
  throw new ServingError('INVALID_CONFIG', `${place}: expected ${known.kind.expected}, got ${got}.`)
}
