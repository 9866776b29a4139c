/**
 * One setting: how its text becomes a value, and what people are told about it. Flags, environment names, the YAML
 * file, help and the reference are all read from tables of these.
 */
import { z } from 'zod'

/** What a value may be: the check, and how messages and help name it. */
export interface Kind<Value> {
  readonly schema: z.ZodType<Value>
  /** Completes "expected ...". */
  readonly expected: string
  /** Stands for the value in help; undefined for a switch, which takes none. */
  readonly placeholder: string | undefined
  /** The flag may be given several times. */
  readonly isList?: true
}

export interface Setting<Value> {
  readonly kind: Kind<Value>
  /** The value when nobody gives one; undefined where the program decides (see `defaultText`). */
  readonly default: Value | undefined
  readonly defaultText: string | undefined
  readonly about: string
  readonly group: string
  readonly short: string | undefined
  /** Shown as set or not, never as itself. */
  readonly secret: boolean
}

/** Keys are flag names without the dashes. */
export type SettingTable = Readonly<Record<string, Setting<unknown>>>

type CamelCase<Name extends string> = Name extends `${infer Head}-${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : Name

/** `undefined` extends the value of a setting without a default. */
type ValueOf<Of> = Of extends Setting<infer Value> ? Value : never

/** The object a table describes, with camel-cased keys. */
export type SettingValues<Table extends SettingTable> = {
  readonly [Name in keyof Table & string as CamelCase<Name>]: ValueOf<Table[Name]>
}

interface Words {
  readonly about: string
  readonly group?: string
  readonly short?: string
  readonly secret?: boolean
  readonly defaultText?: string
  readonly placeholder?: string
}

/** The table without some of its settings. */
export function without<Table extends SettingTable, Name extends keyof Table>(
  table: Table,
  ...names: readonly Name[]
): Omit<Table, Name> {
  const left = { ...table }
  for (const name of names) delete left[name]
  return left
}

export function setting<const Value>(
  kind: Kind<Value>,
  words: Words & { readonly default: Value },
): Setting<Value> {
  return { ...describe(kind, words), default: words.default }
}

/** Undefined when nobody sets it; `defaultText` says what happens then. */
export function optionalSetting<Value>(kind: Kind<Value>, words: Words): Setting<Value | undefined> {
  return { ...describe<Value | undefined>(kind, words), default: undefined }
}

function describe<Value>(kind: Kind<Value>, words: Words): Omit<Setting<Value>, 'default'> {
  return {
    kind: words.placeholder === undefined ? kind : { ...kind, placeholder: words.placeholder },
    about: words.about,
    group: words.group ?? 'Options',
    short: words.short,
    secret: words.secret ?? false,
    defaultText: words.defaultText,
  }
}

/** A YAML file may leave the quotes out, so that a key of digits arrives as a number. */
export const text: Kind<string> = {
  schema: z.union([z.string().min(1), z.number().transform(String)]),
  expected: 'a text',
  placeholder: 'TEXT',
}

export const texts: Kind<readonly string[]> = {
  schema: z.union([
    z.array(z.string().min(1)).min(1),
    z
      .string()
      .transform((value) => value.split(',').map((part) => part.trim()))
      .pipe(z.array(z.string().min(1)).min(1)),
  ]),
  expected: 'texts with commas between them',
  placeholder: 'TEXT,...',
  isList: true,
}

/** From the command line true and false are text; in YAML they are not. */
export const toggle: Kind<boolean> = {
  schema: z.union([
    z.boolean(),
    z.enum(['true', '1']).transform(() => true),
    z.enum(['false', '0']).transform(() => false),
  ]),
  expected: 'true or false',
  placeholder: undefined,
}

export function integer(min: number, max = Number.MAX_SAFE_INTEGER): Kind<number> {
  const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`
  return {
    schema: numeric(/^-?\d+$/).pipe(z.number().int().min(min).max(max)),
    expected: `an integer ${range}`,
    placeholder: 'N',
  }
}

const byteUnits = ['', 'k', 'm', 'g', 't']

/** A size in bytes; K, M, G and T (also KiB and so on) are powers of 1024. */
export const bytes: Kind<number> = {
  schema: z.union([
    z.number().int().min(0),
    z
      .string()
      .regex(/^\d+(\.\d+)?([kmgt](i?b)?)?$/i)
      .transform((value) => {
        const unit = /[kmgt]/i.exec(value)?.[0].toLowerCase() ?? ''
        return Math.floor(Number.parseFloat(value) * 1024 ** byteUnits.indexOf(unit))
      })
      .pipe(z.number().int().min(0).max(Number.MAX_SAFE_INTEGER)),
  ]),
  expected: 'a size as 500M, 16G or a number of bytes',
  placeholder: 'BYTES',
}

export function powerOfTwo(min: number, max: number): Kind<number> {
  return {
    schema: integer(min, max).schema.refine((value) => (value & (value - 1)) === 0),
    expected: `a power of two from ${min} to ${max}`,
    placeholder: 'N',
  }
}

/** `above`: exclusive lower bound. */
export function decimal(bounds: { readonly min?: number; readonly above?: number }): Kind<number> {
  const { min = -Infinity, above = -Infinity } = bounds
  return {
    schema: numeric(/^-?\d*\.?\d+(e[+-]?\d+)?$/i).refine(
      (value) => Number.isFinite(value) && value >= min && value > above,
    ),
    expected: bounds.above === undefined ? `a number of at least ${min}` : `a number above ${above}`,
    placeholder: 'X',
  }
}

export function choice<const Name extends string>(names: readonly Name[]): Kind<Name> {
  return { schema: z.enum(names), expected: `one of ${names.join(', ')}`, placeholder: names.join('|') }
}

function numeric(pattern: RegExp): z.ZodType<number> {
  return z.union([z.number(), z.string().regex(pattern).transform(Number)])
}
