import { gammaArrivals } from '../arrivals.ts'
import { ContentIds } from '../content.ts'
import { WeightedChoice, zipfWeights } from '../distributions.ts'
import { defineGenerator } from './generator.ts'
import { numRequests, rate, single } from './population.ts'

const blockSize = 64

/**
 * Load after the model of BurstGPT (Wang et al., KDD 2025): gamma gaps and lengths by Zipf's law. The defaults are
 * those of its published generator, BurstGPT-Perf: shape 0.5 and scale 2 s, so one request per second with a
 * coefficient of variation of the square root of 2; exponent 1.1 and lengths below 1024.
 */
export const burstgptLike = defineGenerator({
  about: "Requests after BurstGPT's model: gamma gaps, lengths by Zipf's law.",
  parameters: {
    requests: numRequests,
    rate,
    shape: { default: 0.5, min: 0.001, about: 'Shape of the gamma distribution of gaps.' },
    exponent: { default: 1.1, min: 0, about: 'Exponent of the Zipf law of the lengths.' },
    'max-tokens': {
      default: 1023,
      min: 1,
      max: 1_000_000,
      integer: true,
      about: 'Longest prompt and answer.',
    },
  },
  generate: (values, random) => {
    const arrivals = gammaArrivals(values.requests, values.rate, 1 / Math.sqrt(values.shape), random.split(0))
    const lengths = new WeightedChoice(zipfWeights(values['max-tokens'], values.exponent))
    const draws = random.split(1)
    const ids = new ContentIds()
    const requests = arrivals.map((arrival) => {
      const numPromptTokens = lengths.draw(draws) + 1
      return single({
        arrival,
        tenant: 'default',
        numPromptTokens,
        numOutputTokens: lengths.draw(draws) + 1,
        blocks: ids.take(Math.ceil(numPromptTokens / blockSize)),
      })
    })
    return { blockSize, requests }
  },
})
