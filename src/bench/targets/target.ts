/** A server under test: where it is, what it is, and what it must be asked before the load starts. */
import { z } from 'zod'
import { ServingError } from '../../core/errors.ts'
import { fetchJson, type Endpoint } from '../http-client.ts'
import type { TargetAdapter } from './adapter.ts'
import { adapters } from './index.ts'

/** `name=url`, `name:kind=url` or a URL alone. */
export interface TargetSpec {
  readonly name: string
  /** An adapter's name; undefined: found out. */
  readonly kind: string | undefined
  readonly url: string
}

export interface Target {
  readonly name: string
  readonly endpoint: Endpoint
  readonly adapter: TargetAdapter
  /** Undefined where the server does not say. */
  readonly version: string | undefined
  readonly model: string
  /** Why it cannot be measured, if it cannot. */
  readonly problem?: string
}

/** @throws {ServingError} INVALID_CONFIG */
export function parseTarget(text: string): TargetSpec {
  const {
    label = '',
    kind,
    url = '',
  } = /^(?:(?<label>[^=:/]+)(?::(?<kind>[^=:/]+))?=)?(?<url>.*)$/.exec(text)?.groups ?? {}
  if (kind !== undefined && !adapters.some(({ name }) => name === kind)) {
    const known = adapters.map(({ name }) => name).join(', ')
    throw new ServingError('INVALID_CONFIG', `--target ${text}: "${kind}" is none of ${known}.`)
  }
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed?.protocol !== 'http:' && parsed?.protocol !== 'https:') {
    throw new ServingError('INVALID_CONFIG', `--target ${text}: expected NAME=http://host:port.`)
  }
  return { name: label === '' ? parsed.host : label, kind, url: url.replace(/\/+$/, '').replace(/\/v1$/, '') }
}

/**
 * Finds out what answers there and which model it has.
 * @throws {ServingError} INTERNAL when it cannot be reached, MODEL_NOT_FOUND when it lists none.
 */
export async function openTarget(
  spec: TargetSpec,
  options: { readonly apiKey?: string | undefined; readonly model?: string | undefined },
): Promise<Target> {
  const endpoint = { url: spec.url, apiKey: options.apiKey }
  const found = await findAdapter(endpoint, spec.kind)
  const model = options.model ?? (await firstModel(endpoint))
  return { name: spec.name, endpoint, model, ...found }
}

/** As `openTarget`, but what is wrong becomes a `problem`: the other targets are measured all the same. */
export async function tryOpenTarget(
  spec: TargetSpec,
  options: Parameters<typeof openTarget>[1],
): Promise<Target> {
  return openTarget(spec, options).catch((error: unknown): Target => {
    if (!(error instanceof ServingError)) throw error
    const endpoint = { url: spec.url, apiKey: options.apiKey }
    const unknown = { adapter: adapters.at(-1)!, version: undefined, model: options.model ?? 'unknown' }
    return { name: spec.name, endpoint, ...unknown, problem: error.message }
  })
}

async function findAdapter(
  endpoint: Endpoint,
  kind: string | undefined,
): Promise<Pick<Target, 'adapter' | 'version'>> {
  const candidates = kind === undefined ? adapters : adapters.filter(({ name }) => name === kind)
  const answers = new Map<string, unknown>()
  for (const adapter of candidates) {
    if (adapter.probe === undefined) continue
    if (!answers.has(adapter.probe))
      answers.set(adapter.probe, await fetchJson(endpoint, adapter.probe).catch(() => undefined))
    const version = adapter.recognize(answers.get(adapter.probe))
    if (version !== undefined) return { adapter, version }
  }
  return { adapter: candidates.at(-1)!, version: undefined }
}

const modelList = z.object({ data: z.array(z.object({ id: z.string() })).min(1) })

async function firstModel(endpoint: Endpoint): Promise<string> {
  const list = modelList.safeParse(await fetchJson(endpoint, '/v1/models'))
  if (list.success) return list.data.data[0]!.id
  throw new ServingError('MODEL_NOT_FOUND', `${endpoint.url} lists no models; give --model.`)
}
