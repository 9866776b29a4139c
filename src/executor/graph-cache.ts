import type { StepGraph } from './step-graph.ts'

/** Keeps the graphs of recent step shapes; the least recently used one goes first. */
export class GraphCache {
  readonly #graphs = new Map<string, StepGraph>()
  readonly #capacity: number

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get(key: string, build: () => StepGraph): StepGraph {
    const known = this.#graphs.get(key)
    if (known !== undefined) this.#graphs.delete(key)
    const graph = known ?? build()
    this.#graphs.set(key, graph)
    if (this.#graphs.size > this.#capacity) this.#evictOldest()
    return graph
  }

  close(): void {
    for (const graph of this.#graphs.values()) graph.close()
    this.#graphs.clear()
  }

  #evictOldest(): void {
    const [oldest] = this.#graphs
    if (oldest === undefined) return
    oldest[1].close()
    this.#graphs.delete(oldest[0])
  }
}
