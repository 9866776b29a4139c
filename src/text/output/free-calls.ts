/** Answers that may call tools: calls keep to the tools' schemas, and all else is left free. */
import { textSpec, type GrammarSpec } from '../../core/grammar-spec.ts'
import { forcedGrammar, sequence, spelled, type CallableTool, type CallShape } from './forced-call.ts'

interface NumCalls {
  readonly isOneCall: boolean
}

export function freeGrammar(
  shape: CallShape,
  tools: readonly CallableTool[],
  { isOneCall }: NumCalls,
): GrammarSpec {
  const { marker = '', notFirst = '' } = shape
  const free = { kind: 'without', marker, notFirst } as const
  const options: GrammarSpec[] = [free]
  if (marker !== '') {
    const rest = textSpec(
      shape.opening.startsWith(marker) ? shape.opening.slice(marker.length) : shape.opening,
    )
    // The next call begins as the first did.
    const calls = forcedGrammar(shape, tools, {
      name: undefined,
      isOneCall: isOneCall || shape.next?.includes(marker) === true,
    })
    const call = sequence({ kind: 'until', marker, notFirst }, rest, calls)
    const endsWithCall = isOneCall || notFirst !== ''
    options.push(endsWithCall ? call : sequence({ kind: 'repeat', part: call, min: 1 }, free))
  }
  if (notFirst !== '') {
    const space: GrammarSpec = { kind: 'regex', pattern: '[ \\n\\t\\r]{0,4}' }
    options.push(sequence(space, callsAlone(shape, tools, { isOneCall })))
  }
  return { kind: 'anyOf', options }
}

/** Calls and nothing else. */
export function callsAlone(
  shape: CallShape,
  tools: readonly CallableTool[],
  { isOneCall }: NumCalls,
): GrammarSpec {
  return sequence(spelled(shape, shape.opening), forcedGrammar(shape, tools, { name: undefined, isOneCall }))
}
