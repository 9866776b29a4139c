/** Calls that an answer must make: what the prompt has of them already, and the grammar of the rest. */
import { textSpec, type GrammarSpec } from '../../core/grammar-spec.ts'

/** How a family writes calls, one behind the other, so that they can be asked for. */
export interface CallShape {
  /** What begins a call wherever it stands; undefined: nothing does. */
  readonly marker: string | undefined
  /** Characters that an answer which calls nothing does not begin with; behind such a call it has an end. */
  readonly notFirst?: string
  /** Of these texts those that may be special tokens. */
  readonly special: readonly string[]
  /** Up to the name of the first one. */
  readonly opening: string
  readonly argumentsKey: 'arguments' | 'parameters'
  /** Behind the arguments. */
  readonly close: string
  /** Between a call and the name of the next; undefined: an answer has one call. */
  readonly next: string | undefined
  /** Behind the last one. */
  readonly end: string
}

export interface CallableTool {
  readonly name: string
  /** Of its arguments, which are an object. */
  readonly arguments: GrammarSpec
}

export interface ForcedCall {
  /** Undefined: any of the tools. */
  readonly name: string | undefined
  readonly isOneCall: boolean
}

/** The end of the prompt. It breaks before a space, where tokens do. */
export function forcedOpening(shape: CallShape, { name }: Pick<ForcedCall, 'name'>): string {
  return name === undefined ? shape.opening : `${shape.opening} ${head(shape, name)}`
}

/** What follows the opening. */
export function forcedGrammar(
  shape: CallShape,
  tools: readonly CallableTool[],
  { name, isOneCall }: ForcedCall,
): GrammarSpec {
  const named = tools.map((tool) =>
    sequence(textSpec(` ${head(shape, tool.name)} `), tool.arguments, spelled(shape, shape.close)),
  )
  const any: GrammarSpec = named.length === 1 ? named[0]! : { kind: 'anyOf', options: named }
  const chosen = tools.find((tool) => tool.name === name)
  const first =
    chosen === undefined ? any : sequence(textSpec(' '), chosen.arguments, spelled(shape, shape.close))
  const parts = [first]
  if (!isOneCall && shape.next !== undefined) {
    parts.push({ kind: 'repeat', part: sequence(spelled(shape, shape.next), any), min: 0 })
  }
  if (shape.end !== '') parts.push(textSpec(shape.end))
  return sequence(...parts)
}

/** A text of a call, with its special tokens. */
export function spelled({ special }: CallShape, text: string): GrammarSpec {
  const found = special.find((one) => text.includes(one))
  if (found === undefined) return textSpec(text)
  const [before = '', ...behind] = text.split(found)
  const rest = behind.join(found)
  return sequence(
    ...(before === '' ? [] : [textSpec(before)]),
    { kind: 'marker', text: found },
    ...(rest === '' ? [] : [textSpec(rest)]),
  )
}

const head = ({ argumentsKey }: CallShape, name: string): string =>
  `${JSON.stringify(name)}, "${argumentsKey}":`

export const sequence = (...parts: readonly GrammarSpec[]): GrammarSpec =>
  parts.length === 1 ? parts[0]! : { kind: 'sequence', parts }
