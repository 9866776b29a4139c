import type { z } from 'zod'

/** What people are told of one route. */
export interface Operation {
  readonly tag: string
  readonly summary: string
  /** JSON that it takes: the schema that the route itself reads bodies with. */
  readonly body?: z.ZodType
  readonly query?: z.ZodType
  /** It takes a form with a file. */
  readonly takesFile?: true
  /** Content type, or the schema of the JSON. */
  readonly answer: z.ZodType | `${string}/${string}`
  /** Content type when `stream` is true. */
  readonly streams?: `${string}/${string}`
  /** Needs no key. */
  readonly isOpen?: true
}

/** By method and path as the router knows it, such as `GET /v1/files/:id`. */
export type Operations = Readonly<Record<string, Operation>>
