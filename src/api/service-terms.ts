/**
 * Who is asking, and how urgent it is, read from key, headers and body of a request. What a client says about itself
 * counts only where no key says it.
 */
import type { FastifyRequest } from 'fastify'
import { ServingError } from '../core/errors.ts'
import type { ServiceTerms } from '../core/request.ts'
import type { ApiKey } from '../core/tenant.ts'
import { micros, type Micros } from '../core/units.ts'
import type { ApiContext } from './context.ts'
import type { TermFields } from './schemas/terms.ts'

/** Routers send the second one. */
const tenantHeaders = ['x-switchyard-tenant', 'x-llm-d-inference-fairness-id'] as const
const longestName = 512

/** @throws {ServingError} UNAUTHORIZED, or INVALID_REQUEST for a class that is unknown or not this key's. */
export function serviceTerms(
  context: ApiContext,
  { headers }: Pick<FastifyRequest, 'headers'>,
  body: TermFields,
  arrivedAt: Micros,
): ServiceTerms {
  const key = context.keys.find(headers.authorization)
  const claimed = body.user ?? body.safety_identifier ?? nameIn(headers, ...tenantHeaders)
  const tenant = key?.name ?? claimed ?? 'default'
  const program = nameIn(headers, 'x-session-id') ?? body.metadata?.program_id
  const turn = program === undefined ? undefined : context.programs.turnOf(tenant, program, arrivedAt)
  const deadlineMs = body.metadata?.deadline_ms
  const stages = body.metadata?.num_stages
  return {
    tenant,
    weight: key?.weight ?? 1,
    program,
    programStartedAt: turn?.startedAt,
    serviceClass: classOf(context, key, body.service_tier),
    priority: body.priority ?? 0,
    deadline:
      deadlineMs === undefined ? undefined : micros((turn?.startedAt ?? arrivedAt) + deadlineMs * 1000),
    stagesLeft: stages === undefined ? undefined : Math.max(0, stages - 1 - (turn?.index ?? 0)),
  }
}

function classOf(context: ApiContext, key: ApiKey | undefined, asked: string | undefined): string {
  const { serviceClasses } = context.config
  const allowed = key !== undefined && key.classes.length > 0 ? key.classes : serviceClasses
  if (asked === undefined || asked === 'auto') return allowed[0] ?? 'default'
  if (allowed.includes(asked)) return asked
  const message = `The service tier '${asked}' is not available; these are: auto, ${allowed.join(', ')}.`
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
