/** Single requests with nothing in common, in three patterns of arrival. */
import type { RandomStream } from '../../core/random.ts'
import type { Micros } from '../../core/units.ts'
import { cyclicArrivals, gammaArrivals, poissonArrivals } from '../arrivals.ts'
import { ContentIds } from '../content.ts'
import { defineGenerator, type Generated } from './generator.ts'
import {
  drawLengths,
  lengthParameters,
  longParameters,
  numRequests,
  positive,
  rate,
  single,
  TenantDraw,
  tenantParameters,
  type LengthValues,
} from './population.ts'

const common = {
  requests: numRequests,
  rate,
  ...lengthParameters,
  ...longParameters,
  ...tenantParameters,
} as const

interface CommonValues extends LengthValues {
  readonly tenants: number
  readonly zipf: number
  readonly shares: string
}

/** No prompt shares a block with another: their size only matters where lengths are scaled. */
const blockSize = 64

export const poisson = defineGenerator({
  about: 'Independent requests at Poisson times.',
  parameters: common,
  generate: (values, random) =>
    independent(values, poissonArrivals(values.requests, values.rate, random.split(0)), random),
})

export const bursts = defineGenerator({
  about: 'Independent requests in bursts: gamma distributed gaps.',
  parameters: {
    ...common,
    cv: { default: 3, min: 0.01, about: 'Coefficient of variation of the gaps; 1 is Poisson.' },
  },
  generate: (values, random) =>
    independent(values, gammaArrivals(values.requests, values.rate, values.cv, random.split(0)), random),
})

export const daily = defineGenerator({
  about: 'Independent requests at a rate that swings with the time of day.',
  parameters: {
    ...common,
    amplitude: { default: 0.8, min: 0, max: 1, about: 'Swing around the mean rate; 1 goes down to nothing.' },
    period: { default: 86_400, min: positive, about: 'Seconds of a day.' },
  },
  generate: (values, random) => {
    const cycle = {
      meanRatePerSecond: values.rate,
      amplitude: values.amplitude,
      periodSeconds: values.period,
    }
    return independent(values, cyclicArrivals(values.requests, cycle, random.split(0)), random)
  },
})

function independent(values: CommonValues, arrivals: readonly Micros[], random: RandomStream): Generated {
  const lengths = random.split(1)
  const tenants = new TenantDraw(values, random.split(2))
  const ids = new ContentIds()
  const requests = arrivals.map((arrival) => {
    const drawn = drawLengths(lengths, values)
    const blocks = ids.take(Math.ceil(drawn.numPromptTokens / blockSize))
    return single({ arrival, tenant: tenants.next(), ...drawn, blocks })
  })
  return { blockSize, requests }
}
