/** What a generator is: a table of parameters, and requests from their values and a seed. */
import { ServingError } from '../../core/errors.ts'
import type { RandomStream } from '../../core/random.ts'
import type { WorkloadRequest } from '../workload.ts'

export type ParameterValue = number | string

export interface Parameter<Value extends ParameterValue = ParameterValue> {
  readonly default: Value
  readonly about: string
  /** Of a number: its smallest value, and whether it has to be whole. */
  readonly min?: number
  readonly max?: number
  readonly integer?: boolean
}

export type ParameterTable = Readonly<Record<string, Parameter>>

export type ParameterValues<Table extends ParameterTable> = {
  readonly [Name in keyof Table]: Table[Name]['default'] extends number ? number : string
}

export interface Generated {
  readonly blockSize: number
  /** In any order, the turns of a program in theirs. */
  readonly requests: readonly WorkloadRequest[]
}

export interface WorkloadGenerator {
  readonly about: string
  readonly parameters: ParameterTable
  /** Values by name; those that are missing have their defaults. Numbers may be given as text. */
  generate(given: Readonly<Record<string, ParameterValue>>, random: RandomStream): Generated
  /** The values that `generate` uses for these. @throws {ServingError} INVALID_WORKLOAD. */
  values(given: Readonly<Record<string, ParameterValue>>): Readonly<Record<string, ParameterValue>>
}

export function defineGenerator<const Table extends ParameterTable>(definition: {
  readonly about: string
  readonly parameters: Table
  readonly generate: (values: ParameterValues<Table>, random: RandomStream) => Generated
}): WorkloadGenerator {
  const { about, parameters } = definition
  const values = (given: Readonly<Record<string, ParameterValue>>) => checked(parameters, given)
  return {
    about,
    parameters,
    values,
    generate: (given, random) => definition.generate(values(given) as ParameterValues<Table>, random),
  }
}

function checked(
  table: ParameterTable,
  given: Readonly<Record<string, ParameterValue>>,
): Record<string, ParameterValue> {
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(table, name)) continue
    throw invalid(`There is no parameter "${name}"; there are ${Object.keys(table).join(', ')}.`)
  }
  return Object.fromEntries(
    Object.entries(table).map(([name, parameter]) => [name, checkedValue(name, parameter, given[name])]),
  )
}

function checkedValue(name: string, parameter: Parameter, given: ParameterValue | undefined): ParameterValue {
  if (given === undefined) return parameter.default
  if (typeof parameter.default === 'string') return String(given)
  const { min = -Infinity, max = Infinity, integer = false } = parameter
  const value = given === '' ? Number.NaN : Number(given)
  if (Number.isFinite(value) && value >= min && value <= max && (!integer || Number.isInteger(value)))
    return value
  const kind = integer ? 'an integer' : 'a number'
  const bound = `of at least ${min}${max === Infinity ? '' : ` and at most ${max}`}`
  throw invalid(`${name}: "${given}" is not ${kind} ${bound}.`)
}

export function invalid(message: string): ServingError {
  return new ServingError('INVALID_WORKLOAD', message)
}
