/** Transformations of workloads. Each returns a new one and records itself in `provenance`. */
export { fitToModel, type FitRule } from './fit-to-model.ts'
export { capGaps, scaleGaps } from './gaps.ts'
export { factorToFit, scaleLengths } from './scale-lengths.ts'
export { meanRate, scaleRate, scaleToRate } from './scale-rate.ts'
export { sliceWorkload, type Slice } from './slice.ts'
export { spreadArrivals } from './spread-arrivals.ts'
