import { z } from 'zod'
import type { TargetAdapter } from './adapter.ts'
import { openAi } from './openai.ts'

const version = z.object({ version: z.string() })
const count = z.number().int().min(0).optional().catch(undefined)
const line = z.object({
  response: z.string().optional(),
  done: z.boolean().optional(),
  error: z.string().optional(),
  prompt_eval_count: count,
  eval_count: count,
})

/** Ollama's own `/api/generate`: lines of JSON, text prompts, an upper bound of the answer's length only. */
export const ollama: TargetAdapter = {
  ...openAi,
  name: 'ollama',
  probe: '/api/version',
  recognize: (answer) => version.safeParse(answer).data?.version,
  path: '/api/generate',
  framing: 'lines',
  body: ({ model, prompt, numOutputTokens }) => ({
    model,
    prompt: 'text' in prompt ? prompt.text : '',
    raw: true,
    stream: true,
    options: { num_predict: numOutputTokens, temperature: 0 },
  }),
  read: (event) => {
    const parsed = line.safeParse(event)
    if (!parsed.success) return undefined
    const { response, done, error, prompt_eval_count: prompted, eval_count: generated } = parsed.data
    if (error !== undefined) return { isToken: false, error }
    return {
      isToken: response !== undefined && (response !== '' || done !== true),
      ...(prompted === undefined ? {} : { promptTokens: prompted }),
      ...(generated === undefined ? {} : { outputTokens: generated }),
    }
  },
}
