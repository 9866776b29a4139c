/** How a model's file says that the hidden states of a text become one vector. `rank`: they become a score. */
export type PoolingType = 'none' | 'mean' | 'cls' | 'last' | 'rank'

/** What a model file says about itself, for whoever asks about the model. */
export interface ModelCard {
  readonly architecture: string
  readonly numBytes: number
  /** ISO 8601. */
  readonly modifiedAt: string
  /** 64 hex digits that change with the file: over its head, its size and its time, not over its weights. */
  readonly digest: string
  readonly numParameters: number
  /** The type that most parameters have, `Q8_0`. */
  readonly quantization: string
  readonly contextLength: number
  readonly embeddingLength: number
  /** Undefined: the file does not say. */
  readonly pooling: PoolingType | undefined
  /** Scalar metadata of the file by key. */
  readonly metadata: Readonly<Record<string, string | number | boolean>>
}
