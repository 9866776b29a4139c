import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ApiServer } from '../../src/api/server.ts'

/** A request that a test sent: where to, with which fields, and whether it was answered. */
export interface Exercise {
  readonly route: string
  readonly fields: readonly string[]
  readonly ok: boolean
}

/** Where SWITCHYARD_EXERCISES names a folder, requests to this server are noted there, for the compatibility table. */
export function logExercises(app: ApiServer['app']): void {
  const dir = process.env['SWITCHYARD_EXERCISES']
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
