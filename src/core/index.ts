/** The vocabulary that all parts share: what a program that embeds the scheduler needs. */
export * from './clock.ts'
export * from './errors.ts'
export * from './random.ts'
export * from './request.ts'
export * from './sampling-params.ts'
export * from './service-class.ts'
export * from './tenant.ts'
export * from './units.ts'
