/** Branded scalars: the compiler keeps instants, ids and counts apart. */
declare const brand: unique symbol
type Branded<Base, Name extends string> = Base & { readonly [brand]: Name }

/** An instant or a duration in integer microseconds. Safe as a number for 285 years. */
export type Micros = Branded<number, 'Micros'>
export type RequestId = Branded<string, 'RequestId'>
/** One sample of a request inside one engine; unique for the engine's life. */
export type SequenceId = Branded<number, 'SequenceId'>
export type BlockId = Branded<number, 'BlockId'>

export const micros = (value: number): Micros => Math.round(value) as Micros
export const millisToMicros = (milliseconds: number): Micros => micros(milliseconds * 1000)
export const microsToSeconds = (value: Micros): number => value / 1_000_000
export const toRequestId = (value: string): RequestId => value as RequestId
export const toSequenceId = (value: number): SequenceId => value as SequenceId
export const toBlockId = (value: number): BlockId => value as BlockId
