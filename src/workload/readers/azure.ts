/**
 * Azure's LLM inference traces of 2023 (Patel et al., Splitwise, ISCA 2024) and 2024 (Stojkovic et al., DynamoLLM,
 * HPCA 2025): one request a row, columns TIMESTAMP, ContextTokens, GeneratedTokens; 2024 writes an offset from UTC.
 */
import { lengths, type Row } from './fields.ts'
import { FlatReader, type FlatRow } from './flat-rows.ts'
import { parseTimestamp } from './timestamp.ts'
import type { TraceFormat } from './trace-format.ts'

const columns = ['TIMESTAMP', 'ContextTokens', 'GeneratedTokens']

export const azure: TraceFormat = {
  about: 'Azure LLM inference CSV of 2023 and 2024: arrivals and lengths.',
  framing: 'lines',
  order: 'arrival',
  matches: (_, head) => head.includes('TIMESTAMP,') && head.includes('ContextTokens'),
  open: () => new FlatReader(columns, { rebase: true, parse }),
}

function parse(row: Row): FlatRow | string {
  const time = row.get('TIMESTAMP')!
  const at = parseTimestamp(time)
  if (at === undefined) return `"${time}" is no timestamp`
  const length = lengths(row.get('ContextTokens'), row.get('GeneratedTokens'))
  if (typeof length === 'string') return length
  return {
    micros: at.seconds * 1_000_000 + Math.round(at.fraction * 1_000_000),
    tenant: 'default',
    ...length,
  }
}
