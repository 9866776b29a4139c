import { CallList, CallObject } from '../call-object.ts'
import type { CallReader } from '../call-reader.ts'
import { plainCallId, type ToolFamily } from './family.ts'

/**
 * For models of no known family: an answer that is JSON, perhaps in a fence, and that names one of the tools. An object
 * with name and arguments (or parameters), a list of them, or either in "function", "tool_call" or "tool_calls".
 */
export const json: ToolFamily = {
  name: 'json',
  markers: [],
  callId: plainCallId,
  fits: () => true,
  syntax: (knownNames) => ({
    openings: [
      { text: '```json', close: '```', where: 'start' },
      { text: '```', close: '```', where: 'start' },
      { text: '{', where: 'start', isBody: true },
      { text: '[', where: 'start', isBody: true },
    ],
    separators: ';,',
    reader: (sink): CallReader => {
      let reader: CallReader | undefined
      return {
        push(char) {
          if (reader === undefined && char.trim() === '') return 'more'
          reader ??= char === '[' ? new CallList(sink, { knownNames }) : new CallObject(sink, { knownNames })
          return reader.push(char)
        },
      }
    },
  }),
  shape: {
    marker: undefined,
    special: [],
    notFirst: '{[`',
    opening: '{"name":',
    argumentsKey: 'arguments',
    close: '}',
    next: undefined,
    end: '',
  },
}
