import type { Micros } from './units.ts'

/** Where time comes from. A driver reads it; nothing pure may hold one. */
export interface Clock {
  now(): Micros
}
