import { gammaArrivals } from '../arrivals.ts'
import { ContentIds } from '../content.ts'
import { defineGenerator } from './generator.ts'
import {
  drawLengths,
  lengthParameters,
  longParameters,
  numRequests,
  rate,
  shareOut,
  single,
  tenantName,
  tenantParameters,
  tenantShares,
} from './population.ts'

const blockSize = 64

/** Each tenant has arrivals of its own, so that its bursts are its own too. */
export const tenants = defineGenerator({
  about: 'Tenants with unequal shares of the load, each with bursts of its own.',
  parameters: {
    requests: numRequests,
    rate: { ...rate, about: 'Mean requests per second of all tenants together.' },
    ...lengthParameters,
    ...longParameters,
    ...tenantParameters,
    tenants: { ...tenantParameters.tenants, default: 8 },
    zipf: { ...tenantParameters.zipf, default: 1 },
    cv: { default: 1, min: 0.01, about: 'Coefficient of variation of the gaps of each tenant.' },
  },
  generate: (values, random) => {
    const shares = tenantShares(values)
    const total = shares.reduce((sum, share) => sum + share, 0)
    const counts = shareOut(values.requests, shares)
    const ids = new ContentIds()
    const requests = shares.flatMap((share, index) => {
      const own = random.split(index)
      const part = share / total
      const count = counts[index]!
      const lengths = own.split(1)
      return gammaArrivals(count, values.rate * part, values.cv, own.split(0)).map((arrival) => {
        const drawn = drawLengths(lengths, values)
        const blocks = ids.take(Math.ceil(drawn.numPromptTokens / blockSize))
        return single({ arrival, tenant: tenantName(index), ...drawn, blocks })
      })
    })
    return { blockSize, requests }
  },
})
