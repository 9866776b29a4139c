import { ServingError } from '../core/errors.ts'

/** Deeper than any schema or message needs; what works on bodies by recursion is safe within it. */
const maxDepth = 200

/** @throws {ServingError} INVALID_REQUEST for a body that is nested too deeply. */
export function checkDepth(body: unknown): void {
  let level: unknown[] = [body]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > maxDepth) {
      throw new ServingError('INVALID_REQUEST', `The body is nested more than ${maxDepth} levels deep.`)
    }
    const next: unknown[] = []
    for (const value of level) {
      for (const child of childrenOf(value)) if (typeof child === 'object' && child !== null) next.push(child)
    }
    level = next
  }
}

/** Of what JSON can be: uploads come as buffers or streams. */
function childrenOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value
  if (typeof value !== 'object' || value === null) return []
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null ? Object.values(value) : []
}
