/** Fields of CSV rows and JSON objects, checked one by one; faults are texts. */

/** A row as its header names it. */
export type Row = ReadonlyMap<string, string>

/** Splits rows of comma-separated values with a header; fields may be quoted, line ends inside are not supported. */
export class CsvRows {
  readonly #required: readonly string[]
  #names: readonly string[] | undefined

  constructor(required: readonly string[]) {
    this.#required = required
  }

  /** Undefined for the header and for empty lines; a text for a fault. */
  read(record: string): Row | string | undefined {
    if (record.trim() === '') return undefined
    const fields = splitCsv(record)
    if (this.#names === undefined) {
      const names = fields.map((field) => field.replace('\u{feff}', ''))
      const missing = this.#required.filter((name) => !names.includes(name))
      if (missing.length > 0)
        return `no column ${missing.map((name) => `"${name}"`).join(', ')} in the header`
      this.#names = names
      return undefined
    }
    if (fields.length !== this.#names.length) {
      return `${fields.length} fields where the header has ${this.#names.length}`
    }
    return new Map(this.#names.map((name, index) => [name, fields[index]!]))
  }
}

function splitCsv(record: string): string[] {
  if (!record.includes('"')) return record.split(',').map((field) => field.trim())
  const matches = record.matchAll(/(?:^|,)\s*(?:"((?:[^"]|"")*)"|([^,]*))\s*/g)
  return [...matches].map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain!.trim())
}

/** A number of at least 0; undefined for anything else. */
export function amount(value: unknown): number | undefined {
  const parsed = typeof value === 'string' && value !== '' ? Number(value) : value
  return typeof parsed === 'number' && Number.isFinite(parsed) && parsed >= 0 ? parsed : undefined
}

/** Prompt and output lengths in tokens, each at least 1; a text for a fault. */
export function lengths(
  prompt: unknown,
  output: unknown,
): { readonly numPromptTokens: number; readonly numOutputTokens: number } | string {
  const numPromptTokens = amount(prompt)
  const numOutputTokens = amount(output)
  if (!isLength(numPromptTokens)) return `${shown(prompt)} is no length of a prompt in tokens`
  if (!isLength(numOutputTokens)) return `${shown(output)} is no length of an answer in tokens`
  return { numPromptTokens, numOutputTokens }
}

/** An object of JSON; a text for a fault. */
export function parseObject(record: string): Readonly<Record<string, unknown>> | string {
  try {
    const value: unknown = JSON.parse(record)
    if (isObject(value)) return value
  } catch {
    return 'not valid JSON'
  }
  return 'not a JSON object'
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing'
  return text.length > 40 ? `${text.slice(0, 40)}...` : text
}

/** Longest prompt or answer that is believed; the work to make longer ones would only hide a broken row. */
const maxLength = 100_000_000

function isLength(value: number | undefined): value is number {
  return value !== undefined && Number.isInteger(value) && value >= 1 && value <= maxLength
}
