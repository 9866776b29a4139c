import { CallObject } from '../call-object.ts'
import { plainCallId, type ToolFamily } from './family.ts'

const markers = ['<tool_call>', '</tool_call>']

/** `<tool_call>{"name": ..., "arguments": {...}}</tool_call>`: Hermes 2 and 3, Qwen 2.5 and 3, Yardling. */
export const hermes: ToolFamily = {
  name: 'hermes',
  markers,
  callId: plainCallId,
  fits: (template) => template.includes('<tool_call>'),
  syntax: () => ({
    openings: [{ text: '<tool_call>', close: '</tool_call>', where: 'anywhere' }],
    reader: (sink) => new CallObject(sink, { knownNames: undefined }),
  }),
  shape: {
    marker: '<tool_call>',
    special: markers,
    opening: '<tool_call>\n{"name":',
    argumentsKey: 'arguments',
    close: '}\n</tool_call>',
    next: '\n<tool_call>\n{"name":',
    end: '',
  },
}
