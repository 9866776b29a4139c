import type { Pointer } from '../ggml/functions.ts'
import type { ProjectedRows } from '../model/graph/decoder.ts'
import type { PlanEntry } from '../scheduler/step-plan.ts'
import type { AttentionUnit } from './attention-plan.ts'
import type { SlotRun } from './kv-view.ts'

/** What attends in a step: units and their entries in the order of the rows, and the used slots of each entry. */
export interface AttendingEntries {
  readonly units: readonly AttentionUnit[]
  readonly entries: readonly PlanEntry[]
  readonly runs: readonly (readonly SlotRun[])[]
}

/** The nodes of an attention unit in all layers of a graph. `index`, `first`: the unit's and its first entry's in a step. */
export interface AttentionNodes {
  /** How many entries it is for. */
  readonly numEntries: number
  /** Adds a layer, which writes the unit's rows of `attended` [headDim * heads, rows]. */
  addLayer(rows: ProjectedRows, attended: Pointer): void
  /** Elements of the mask that `patch` is going to ask for. */
  maskElements(step: AttendingEntries, index: number, first: number): number
  /** Points the nodes at this step's KV. */
  patch(step: AttendingEntries, index: number, first: number): void
}
