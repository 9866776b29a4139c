import { CallObject } from '../call-object.ts'
import { plainCallId, type ToolFamily } from './family.ts'

/**
 * An answer that is `{"name": ..., "parameters": {...}}`, or several of them with semicolons between, with or without
 * `<|python_tag|>` before: Llama 3.1 to 3.3.
 */
export const llama: ToolFamily = {
  name: 'llama3_json',
  markers: ['<|python_tag|>'],
  callId: plainCallId,
  fits: (template) =>
    template.includes('<|python_tag|>') ||
    (template.includes('<|start_header_id|>') && template.includes('"parameters"')),
  syntax: (knownNames) => ({
    openings: [
      { text: '<|python_tag|>', where: 'anywhere' },
      { text: '{', where: 'start', isBody: true },
    ],
    separators: ';',
    reader: (sink) => new CallObject(sink, { knownNames }),
  }),
  shape: {
    marker: '<|python_tag|>',
    special: [],
    notFirst: '{',
    opening: '{"name":',
    argumentsKey: 'parameters',
    close: '}',
    next: undefined,
    end: '',
  },
}
