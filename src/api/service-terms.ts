/**
 * Who is asking, and how urgent it is, read from key, headers and body of a request. What a client says about itself
 * counts only where no key says it.
 */
import type { FastifyRequest } from 'fastify'
import { ServingError } from '../core/errors.ts'
import type { ServiceTerms } from '../core/request.ts'
import type { ServiceClass } from '../core/service-class.ts'
import type { ApiKey, KeyLimits } from '../core/tenant.ts'
import { micros, millisToMicros, type Micros } from '../core/units.ts'
import type { ApiContext } from './context.ts'
import type { TermFields } from './schemas/terms.ts'

/** Routers send the second one. */
const tenantHeaders = ['x-switchyard-tenant', 'x-llm-d-inference-fairness-id'] as const
const longestName = 512

/** Who asks, what they are promised, and what they may use. */
export interface Asker {
  readonly terms: ServiceTerms
  /** Of the key; undefined without one. */
  readonly limits: KeyLimits | undefined
  /** Time to first token that the request insists on; undefined: it would rather wait. */
  readonly ttftTarget: Micros | undefined
  /** The server's own work, which limits itself. */
  readonly isBackground: boolean
}

/** @throws {ServingError} UNAUTHORIZED, or INVALID_REQUEST for a class that is unknown or not this key's. */
export function askerOf(
  context: ApiContext,
  { headers }: Pick<FastifyRequest, 'headers'>,
  body: TermFields,
  arrivedAt: Micros,
): Asker {
  const key = context.keys.find(headers)
  const claimed = body.user ?? body.safety_identifier ?? nameIn(headers, ...tenantHeaders)
  const tenant = key?.name ?? claimed ?? 'default'
  const program = nameIn(headers, 'x-session-id') ?? body.metadata?.program_id
  const turn = program === undefined ? undefined : context.programs.turnOf(tenant, program, arrivedAt)
  const deadlineMs = body.metadata?.deadline_ms
  const startedAt = turn?.startedAt ?? arrivedAt
  const deadline = deadlineMs === undefined ? undefined : micros(startedAt + deadlineMs * 1000)
  const stages = body.metadata?.num_stages
  const serviceClass = classOf(context, key, body.service_tier)
  const terms: ServiceTerms = {
    tenant,
    weight: key?.weight ?? 1,
    program,
    programStartedAt: turn?.startedAt,
    serviceClass: serviceClass.name,
    priority: body.priority ?? 0,
    deadline,
    stagesLeft: stages === undefined ? undefined : Math.max(0, stages - 1 - (turn?.index ?? 0)),
  }
  const isBackground = key?.isBackground ?? false
  const ttftTarget = isBackground ? undefined : ttftTargetOf(context, body, serviceClass)
  return { terms, limits: key?.limits, ttftTarget, isBackground }
}

function ttftTargetOf(
  context: ApiContext,
  body: TermFields,
  { ttftTarget }: ServiceClass,
): Micros | undefined {
  const own = body.metadata?.ttft_ms
  if (own !== undefined) return millisToMicros(own)
  return context.config.refuseLate ? ttftTarget : undefined
}

/** The class that is asked for, among those that the key has. */
function classOf(context: ApiContext, key: ApiKey | undefined, asked: string | undefined): ServiceClass {
  const { serviceClasses } = context.config
  const isFree = key === undefined || key.classes.length === 0
  const allowed = isFree ? serviceClasses : serviceClasses.filter(({ name }) => key.classes.includes(name))
  const first = isFree ? allowed[0] : allowed.find(({ name }) => name === key.classes[0])
  const found = asked === undefined || asked === 'auto' ? first : allowed.find(({ name }) => name === asked)
  if (found !== undefined) return found
  const names = ['auto', ...allowed.map(({ name }) => name)].join(', ')
  const message = `The service tier '${asked ?? 'auto'}' is not available; these are: ${names}.`
  throw new ServingError('INVALID_REQUEST', message, { param: 'service_tier' })
}

/** The first of these headers that says something. */
function nameIn(headers: FastifyRequest['headers'], ...names: readonly string[]): string | undefined {
  for (const name of names) {
    const value = headers[name]
    const text = Array.isArray(value) ? value[0] : value
    if (text === undefined || text === '') continue
    if (text.length <= longestName) return text
    throw new ServingError('INVALID_REQUEST', `The header ${name} is longer than ${longestName} characters.`)
  }
  return undefined
}
