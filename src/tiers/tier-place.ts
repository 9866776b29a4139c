/** Where a tier keeps its blocks: plain data, from which any thread of the process makes the tier. */
import { DiskTier } from './disk-tier.ts'
import { HostTier } from './host-tier.ts'
import type { StagingMemory } from './staging-memory.ts'
import type { Tier, TierName } from './tier.ts'
import { tierFile, type TierFile } from './tier-file.ts'

export interface TierPlace {
  readonly name: TierName
  readonly numSlots: number
  /** Undefined: in memory. */
  readonly disk: DiskPlace | undefined
}

export interface DiskPlace {
  /** The number of an open file. */
  readonly file: number
  /** By slot, in memory that threads share. */
  readonly checksums: BigUint64Array
}

export interface TierParts {
  readonly bytesPerBlock: number
  readonly staging: StagingMemory
  /** What the disk tier sees of its file; as it is unless given. */
  readonly wrapFile?: ((file: TierFile) => TierFile) | undefined
  /** Called once a tier, when writing fails for the first time. */
  readonly onFault: (error: unknown) => void
}

/** To be called once for each place: what is in memory is the tier's own. */
export function createTier({ numSlots, disk }: TierPlace, parts: TierParts): Tier {
  const { bytesPerBlock, staging, onFault, wrapFile = (file: TierFile) => file } = parts
  if (disk === undefined) return new HostTier(numSlots, bytesPerBlock)
  const file = wrapFile(tierFile(disk.file))
  return new DiskTier({ file, checksums: disk.checksums, bytesPerBlock, staging, onFault })
}
