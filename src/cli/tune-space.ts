/** What `switchyard tune` tries, and in which order. To try another setting: a line here. */
import { policyNames } from '../scheduler/policies/index.ts'
import type { Knob } from '../simulator/tuning/search.ts'

/** The setting as it is comes first; what decides most comes before what refines it. */
export const tuneSpace: readonly Knob[] = [
  { name: 'max-num-seqs', values: ['4', '8', '16', '32', '64', '128'] },
  { name: 'max-num-batched-tokens', values: ['64', '128', '256', '512', '1024', '2048'] },
  { name: 'max-tbt-ms', values: [undefined, '20', '50', '100', '200', '400'] },
  { name: 'policy', values: policyNames },
  { name: 'block-size', values: ['16', '32', '64', '128'] },
  { name: 'kv-eviction', values: ['value', 'lru'] },
  { name: 'locality-tokens', values: ['0', '1024', '4096', '16384'] },
  { name: 'token-prices', values: ['1,0.1,2', '1,0.1,1', '1,0.1,4', '1,1,1', '1,0,2'] },
]
