import type { PolicyOptions, SchedulingPolicy } from '../policy.ts'
import { TenantOrder } from './tenant-order.ts'

/**
 * Fair between tenants by weighted tokens (`fair-share.ts`), and between the programs of one tenant
 * (`program-order.ts`). Who was served most gives up memory first, and places too when another tenant holds fewer.
 */
export function fair(options: PolicyOptions = {}): SchedulingPolicy {
  const order = new TenantOrder(options, undefined)
  return {
    name: 'fair',
    knowsPrograms: true,
    createQueue: () => order.queue,
    pickVictim: (running) => order.pickVictim(running),
    pickYielding: (next, running) => order.pickYielding(next, running),
    goesAhead: (next, other) => order.goesAhead(next, other),
    onAdmitted: (sequence) => order.onAdmitted(sequence),
    onFinished: (sequence) => order.onFinished(sequence),
    onStepEnd({ served }) {
      for (const each of served) order.onServed(each)
    },
  }
}
