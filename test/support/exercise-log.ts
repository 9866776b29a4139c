import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ApiServer } from '../../src/api/server.ts'

/** A request that a test sent: where to, with which fields, and whether it was answered. */
export interface Exercise {
  readonly route: string
  readonly fields: readonly string[]
  readonly ok: boolean
}

/** Names the folder where requests of tests are noted. */
export const exerciseVariable = 'SWITCHYARD_EXERCISES'

/** Requests to this server are noted, for the compatibility table; where no folder is named they are not. */
export function logExercises(app: ApiServer['app']): void {
  const dir = process.env[exerciseVariable]
  if (dir === undefined) return
  app.addHook('onResponse', (request, reply, done) => {
    const { body, method, routeOptions } = request
    const isObject = typeof body === 'object' && body !== null && !Array.isArray(body)
    const set = isObject ? Object.entries(body).filter(([, value]) => value !== null) : []
    const exercise: Exercise = {
      route: `${method} ${routeOptions.url}`,
      fields: set.map(([field]) => field),
      ok: reply.statusCode < 400,
    }
    appendFileSync(join(dir, `${process.pid}.jsonl`), `${JSON.stringify(exercise)}\n`)
    done()
  })
}
