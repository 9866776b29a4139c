/** Which weights are loaded, under which name, and which of the file's tensors are joined into one. Pure. */
import type { GgufTensor } from './gguf-reader.ts'
import type { ModelSpec } from './model-spec.ts'

export interface WeightPiece {
  readonly name: string
  /** The file's tensors, stacked along their rows. */
  readonly sources: readonly GgufTensor[]
  /** `matrix`: a left operand of products; `vector`: norms and biases; `table`: rows are looked up. */
  readonly role: 'matrix' | 'vector' | 'table'
}

const joined = [
  { name: 'attn_qkv', parts: ['attn_q', 'attn_k', 'attn_v'] },
  { name: 'ffn_gate_up', parts: ['ffn_gate', 'ffn_up'] },
] as const

/**
 * `isReordered` says whether the backend reorders a tensor as a matrix: a tied output head is then loaded a second
 * time beside the embedding table, because rows of a reordered matrix cannot be looked up.
 */
export function planWeights(spec: ModelSpec, isReordered: (tensor: GgufTensor) => boolean): WeightPiece[] {
  const pieces: WeightPiece[] = []
  const taken = new Set<string>()
  for (let layer = 0; layer < spec.hyperparameters.numLayers; layer++) {
    for (const join of joined) pieces.push(...joinParts(spec, `blk.${layer}`, join, taken))
  }
  for (const [name, tensor] of spec.tensors) {
    if (taken.has(name)) continue
    if (name === 'token_embd.weight') {
      pieces.push({ name, sources: [tensor], role: 'table' })
      const isTied = !spec.tensors.has('output.weight')
      if (isTied && isReordered(tensor))
        pieces.push({ name: 'output.weight', sources: [tensor], role: 'matrix' })
    } else {
      pieces.push({ name, sources: [tensor], role: tensor.shape.length === 2 ? 'matrix' : 'vector' })
    }
  }
  return pieces
}

/** Joins matrices of one type, and their biases when either all parts have one or none has. */
function joinParts(
  spec: ModelSpec,
  prefix: string,
  join: (typeof joined)[number],
  taken: Set<string>,
): WeightPiece[] {
  const find = (part: string, kind: string) => spec.tensors.get(`${prefix}.${part}.${kind}`)
  const matrices = join.parts.map((part) => find(part, 'weight')).filter((tensor) => tensor !== undefined)
  const biases = join.parts.map((part) => find(part, 'bias')).filter((tensor) => tensor !== undefined)
  const sameType = matrices.every((tensor) => tensor.type === matrices[0]?.type)
  const biasesFit = biases.length === 0 || biases.length === join.parts.length
  if (matrices.length !== join.parts.length || !sameType || !biasesFit) return []
  for (const tensor of [...matrices, ...biases]) taken.add(tensor.name)
  const pieces: WeightPiece[] = [{ name: `${prefix}.${join.name}.weight`, sources: matrices, role: 'matrix' }]
  if (biases.length > 0) pieces.push({ name: `${prefix}.${join.name}.bias`, sources: biases, role: 'vector' })
  return pieces
}
