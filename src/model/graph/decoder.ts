/**
 * The forward pass of a pre-norm transformer decoder (Llama, Qwen2, Qwen3 and their kin): from token ids to states, and to logits.
 * What differs between architectures is which weights exist and how positions rotate; both come from the model.
 * It knows nothing of sequences: attention is a callback that the executor fills in, row range by row range.
 * Shapes follow ggml: ne[0] is the fastest dimension, [width, rows].
 */
import type { Pointer } from '../../ggml/functions.ts'
import type { Hyperparameters } from '../hyperparameters.ts'
import type { Weights } from '../weights.ts'
import type { GraphBuilder, RopeParams } from './graph-builder.ts'

export interface DecoderModel {
  readonly hyperparameters: Hyperparameters
  readonly weights: Weights
  readonly rope: RopeParams
}

export interface DecoderInputs {
  /** I32 [rows]: token ids. */
  readonly tokens: Pointer
  /** I32 [rows]. */
  readonly positions: Pointer
  /** I32 [outputs]: the rows whose states are wanted; undefined: all rows. */
  readonly outputRows: Pointer | undefined
  readonly numRows: number
  /** Filled with what each layer begins with, and the output head behind them. */
  readonly layerInputs?: Pointer[]
}

/** q, k and v of all rows of a layer, rotated; strides in bytes between rows. */
export interface ProjectedRows {
  readonly layer: number
  readonly q: Pointer
  readonly qRowBytes: number
  readonly k: Pointer
  readonly kRowBytes: number
  readonly v: Pointer
  readonly vRowBytes: number
}

/** Stores k and v, attends, and returns [headDim * heads, rows]. */
export type Attend = (rows: ProjectedRows) => Pointer

/** Returns the normalised states [width, outputs] behind the last layer. */
export function buildDecoder(
  builder: GraphBuilder,
  model: DecoderModel,
  inputs: DecoderInputs,
  attend: Attend,
): Pointer {
  const { hyperparameters, weights } = model
  const lastLayer = hyperparameters.numLayers - 1
  let x = builder.getRows(weights.get('token_embd.weight'), inputs.tokens)
  const layerRoom = builder.arena.mark()
  for (let layer = 0; layer <= lastLayer; layer++) {
    builder.arena.reset(layerRoom)
    inputs.layerInputs?.push(x)
    let attended = attend(project(builder, model, inputs, layer, x))
    if (layer === lastLayer && inputs.outputRows !== undefined) {
      attended = builder.getRows(attended, inputs.outputRows)
      x = builder.getRows(x, inputs.outputRows)
    }
    x = builder.addInPlace(x, linear(builder, weights, `blk.${layer}.attn_output`, attended))
    x = builder.addInPlace(x, feedForward(builder, model, layer, x))
  }
  inputs.layerInputs?.push(x)
  return builder.norm(x, weights.get('output_norm.weight'), hyperparameters.rmsEpsilon)
}

/** The logits [vocab, outputs] of normalised states. */
export function buildLogits(builder: GraphBuilder, { weights }: DecoderModel, states: Pointer): Pointer {
  return builder.mulMat(weights.find('output.weight') ?? weights.get('token_embd.weight'), states)
}

function project(
  builder: GraphBuilder,
  model: DecoderModel,
  inputs: DecoderInputs,
  layer: number,
  x: Pointer,
): ProjectedRows {
  const { hyperparameters: h, weights } = model
  const blk = `blk.${layer}`
  const normed = builder.norm(x, weights.get(`${blk}.attn_norm.weight`), h.rmsEpsilon)
  const headBytes = h.headDim * 4
  const qWidth = h.headDim * h.numHeads
  const kWidth = h.headDim * h.numKvHeads
  const heads = (source: Pointer, count: number, rowBytes: number, offset: number) =>
    builder.view3d(source, [h.headDim, count, inputs.numRows], [headBytes, rowBytes], offset)
  const rotate = (rows: Pointer, norm: string) => {
    const weight = weights.find(`${blk}.${norm}.weight`)
    const normedHeads = weight === undefined ? rows : builder.norm(rows, weight, h.rmsEpsilon)
    return builder.rope(normedHeads, inputs.positions, weights.find('rope_freqs.weight') ?? 0, model.rope)
  }

  if (weights.find(`${blk}.attn_qkv.weight`) === undefined) {
    const q = linear(builder, weights, `${blk}.attn_q`, normed)
    const k = linear(builder, weights, `${blk}.attn_k`, normed)
    const v = linear(builder, weights, `${blk}.attn_v`, normed)
    return {
      layer,
      q: rotate(heads(q, h.numHeads, qWidth * 4, 0), 'attn_q_norm'),
      qRowBytes: qWidth * 4,
      k: rotate(heads(k, h.numKvHeads, kWidth * 4, 0), 'attn_k_norm'),
      kRowBytes: kWidth * 4,
      v,
      vRowBytes: kWidth * 4,
    }
  }

  const qkv = linear(builder, weights, `${blk}.attn_qkv`, normed)
  const rowBytes = (qWidth + 2 * kWidth) * 4
  const v = builder.view2d(qkv, [kWidth, inputs.numRows], rowBytes, (qWidth + kWidth) * 4)
  if (weights.find(`${blk}.attn_q_norm.weight`) === undefined) {
    // Without norms of their own, the heads of q and k rotate in one operation.
    const qk = rotate(heads(qkv, h.numHeads + h.numKvHeads, rowBytes, 0), 'attn_q_norm')
    const qkRowBytes = (qWidth + kWidth) * 4
    const k = builder.view2d(qk, [kWidth, inputs.numRows], qkRowBytes, qWidth * 4)
    return { layer, q: qk, qRowBytes: qkRowBytes, k, kRowBytes: qkRowBytes, v, vRowBytes: rowBytes }
  }
  return {
    layer,
    q: rotate(heads(qkv, h.numHeads, rowBytes, 0), 'attn_q_norm'),
    qRowBytes: qWidth * 4,
    k: rotate(heads(qkv, h.numKvHeads, rowBytes, qWidth * 4), 'attn_k_norm'),
    kRowBytes: kWidth * 4,
    v,
    vRowBytes: rowBytes,
  }
}

function feedForward(builder: GraphBuilder, model: DecoderModel, layer: number, x: Pointer): Pointer {
  const { hyperparameters, weights } = model
  const blk = `blk.${layer}`
  const normed = builder.norm(x, weights.get(`${blk}.ffn_norm.weight`), hyperparameters.rmsEpsilon)
  const activated =
    weights.find(`${blk}.ffn_gate_up.weight`) === undefined
      ? builder.swigluSplit(
          linear(builder, weights, `${blk}.ffn_gate`, normed),
          linear(builder, weights, `${blk}.ffn_up`, normed),
        )
      : builder.swiglu(linear(builder, weights, `${blk}.ffn_gate_up`, normed))
  return linear(builder, weights, `${blk}.ffn_down`, activated)
}

function linear(builder: GraphBuilder, weights: Weights, name: string, x: Pointer): Pointer {
  const product = builder.mulMat(weights.get(`${name}.weight`), x)
  const bias = weights.find(`${name}.bias`)
  return bias === undefined ? product : builder.addInPlace(product, bias)
}
