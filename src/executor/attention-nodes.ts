import type { Pointer } from '../ggml/functions.ts'
import type { ProjectedRows } from '../model/graph/decoder.ts'
import type { PlanEntry } from '../scheduler/step-plan.ts'
import type { AttentionUnit } from './attention-plan.ts'
import type { SlotRun } from './kv-view.ts'

/** What one attention unit has to do in a step: its entries, and the used slots of each. */
export interface StepPart<Unit extends AttentionUnit = AttentionUnit> {
  readonly unit: Unit
  readonly entries: readonly PlanEntry[]
  readonly runs: readonly (readonly SlotRun[])[]
}

/** The nodes of an attention unit in all layers of a graph. */
export interface AttentionNodes<Unit extends AttentionUnit = AttentionUnit> {
  /** Adds a layer, which writes the unit's rows of `attended` [headDim * heads, rows]. */
  addLayer(rows: ProjectedRows, attended: Pointer): void
  /** Elements of the mask that `patch` is going to ask for. */
  maskElements(part: StepPart<Unit>): number
  /** Points the nodes at this step's KV. */
  patch(part: StepPart<Unit>): void
}
