import { ChildProcessClient } from './child-process-client.ts'
import type { EngineClient } from './engine-client.ts'
import type { EngineOptions } from './engine-options.ts'
import { InProcessClient } from './in-process-client.ts'

export type { EngineOptions } from './engine-options.ts'

/** `child` (the default) survives what kernels can do to a process; `in-process` is for tests. */
export type Carrier = 'child' | 'in-process'

export function createEngine(options: EngineOptions, carrier: Carrier = 'child'): EngineClient {
  return carrier === 'child' ? new ChildProcessClient(options) : new InProcessClient(options)
}
