/** What is known of a block when its last user lets go of it. */
export interface BlockUse {
  /** The step in which it happens; the only measure of time. */
  readonly step: number
  /** Tokens before the block in its sequence. */
  readonly position: number
  /** How often somebody came back for it. */
  readonly numReuses: number
  /** How long it is wished to stay, as a multiple of what is usual: 1, and more where a request says so. */
  readonly retention: number
}

/**
 * Decides which cached block goes first. Blocks go from the ends of prefixes: a block is asked for only while no
 * cached block continues it. A new policy is one file here and one line in the registry.
 */
export interface EvictionPolicy {
  readonly name: string
  /** Lowest goes first; finite and positive. Never lower for a block that is wished to stay or came back more often. */
  priorityOf(use: BlockUse): number
  /** A block of this priority had to go. */
  onEvict?(priority: number): void
}
