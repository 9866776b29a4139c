import { poissonArrivals } from '../arrivals.ts'
import { ContentIds } from '../content.ts'
import { WeightedChoice, zipfWeights } from '../distributions.ts'
import type { ContentId } from '../workload.ts'
import { defineGenerator } from './generator.ts'
import {
  drawLength,
  lengthParameters,
  numRequests,
  rate,
  single,
  TenantDraw,
  tenantParameters,
} from './population.ts'

const blockSize = 64

/**
 * Prompts whose beginnings are paths in a tree, as with system prompts, tools and few-shot examples that some have in
 * common: at each level a request goes on with one of a few continuations, and its own words follow at the end.
 */
export const prefixTree = defineGenerator({
  about: 'Requests whose prompts share beginnings, as paths through a tree.',
  parameters: {
    requests: numRequests,
    rate,
    depth: { default: 3, min: 1, max: 16, integer: true, about: 'Levels of the tree.' },
    fanout: { default: 4, min: 1, max: 1024, integer: true, about: 'Continuations of each node.' },
    level: { default: 256, min: 1, about: `Tokens of a level, rounded up to blocks of ${blockSize}.` },
    popularity: { default: 1, min: 0, about: 'Exponent of the Zipf law by which continuations are chosen.' },
    ...lengthParameters,
    prompt: { ...lengthParameters.prompt, default: 128, about: 'Mean tokens behind the shared beginning.' },
    ...tenantParameters,
  },
  generate: (values, random) => {
    const arrivals = poissonArrivals(values.requests, values.rate, random.split(0))
    const lengths = random.split(1)
    const owners = new TenantDraw(values, random.split(2))
    const paths = random.split(3)
    const choice = new WeightedChoice(zipfWeights(values.fanout, values.popularity))
    const ids = new ContentIds()
    const tree = new Tree(ids, Math.ceil(values.level / blockSize))
    const draw = (mean: number) =>
      drawLength(lengths, { mean, spread: values.spread, max: values['max-tokens'] })
    const requests = arrivals.map((arrival) => {
      const path = Array.from({ length: values.depth }, () => choice.draw(paths))
      const shared = tree.blocks(path)
      const numOwn = draw(values.prompt)
      return single({
        arrival,
        tenant: owners.next(),
        numPromptTokens: shared.length * blockSize + numOwn,
        numOutputTokens: draw(values.output),
        blocks: [...shared, ...ids.take(Math.ceil(numOwn / blockSize))],
      })
    })
    return { blockSize, requests }
  },
})

/** Blocks of the nodes, made when a path first comes by. */
class Tree {
  readonly #ids: ContentIds
  readonly #blocksPerNode: number
  readonly #nodes = new Map<string, readonly ContentId[]>()

  constructor(ids: ContentIds, blocksPerNode: number) {
    this.#ids = ids
    this.#blocksPerNode = blocksPerNode
  }

  blocks(path: readonly number[]): ContentId[] {
    return path.flatMap((_, level) => this.#node(path.slice(0, level + 1).join('.')))
  }

  #node(name: string): readonly ContentId[] {
    const known = this.#nodes.get(name)
    if (known !== undefined) return known
    const blocks = this.#ids.take(this.#blocksPerNode)
    this.#nodes.set(name, blocks)
    return blocks
  }
}
