/**
 * The arena trace of the VTC paper (Sheng et al., "Fairness in Serving Large Language Models", OSDI 2024) as CSV:
 * columns req_id, arrival_s, client, prompt_tokens, output_tokens.
 */
import { amount, lengths, type Row } from './fields.ts'
import { FlatReader, type FlatRow } from './flat-rows.ts'
import type { TraceFormat } from './trace-format.ts'

const columns = ['req_id', 'arrival_s', 'client', 'prompt_tokens', 'output_tokens']

export const vtcArena: TraceFormat = {
  about: 'CSV of the VTC paper: 27 unequal clients of the LMSYS arena.',
  framing: 'lines',
  order: 'arrival',
  matches: (_, head) => head.includes('arrival_s,client'),
  open: () => new FlatReader(columns, { rebase: false, parse }),
}

function parse(row: Row): FlatRow | string {
  const seconds = amount(row.get('arrival_s'))
  if (seconds === undefined) return `"${row.get('arrival_s')}" is no arrival in seconds`
  const length = lengths(row.get('prompt_tokens'), row.get('output_tokens'))
  if (typeof length === 'string') return length
  return { micros: seconds * 1_000_000, tenant: `client-${row.get('client')}`, ...length }
}
