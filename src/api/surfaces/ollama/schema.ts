/** Bodies of Ollama's API. Unknown fields and options are ignored, as Ollama does. */
import { z } from 'zod'
import { listOf, optional } from '../../schemas/sampling.ts'

const maxStops = 16

/** Sampling options by Ollama's names; those that say how to run a model are the server's own business here. */
const options = z.object({
  temperature: optional(z.number().min(0).max(100)),
  top_p: optional(z.number().min(0).max(1)),
  top_k: optional(z.number().int().min(-1).max(1e9)),
  min_p: optional(z.number().min(0).max(1)),
  seed: optional(z.number().int()),
  /** -1 and -2: as much as there is room for. */
  num_predict: optional(z.number().int().min(-2)),
  repeat_penalty: optional(z.number().gt(0).max(10)),
  presence_penalty: optional(z.number().min(-2).max(2)),
  frequency_penalty: optional(z.number().min(-2).max(2)),
  stop: optional(
    z.union(
      [z.string().transform((text) => [text]), listOf(z.string(), { max: maxStops })],
      `expected a string or at most ${maxStops} strings`,
    ),
  ),
})

const base = {
  model: z.string().min(1),
  stream: optional(z.boolean()),
  /** Models are loaded once and stay: accepted and without effect. */
  keep_alive: optional(z.union([z.string(), z.number()])),
  options: optional(options),
}

const generationFields = {
  ...base,
  format: optional(z.union([z.literal(''), z.literal('json'), z.record(z.string(), z.unknown())])),
  think: optional(z.union([z.boolean(), z.enum(['high', 'medium', 'low'])])),
  logprobs: optional(z.boolean()),
  top_logprobs: optional(z.number().int().min(0).max(20)),
}

const images = optional(listOf(z.unknown(), { max: 0 }))

const message = z.object({
  role: z.enum(['system', 'user', 'assistant', 'tool']),
  content: optional(z.string()),
  thinking: optional(z.string()),
  images,
  tool_calls: optional(
    listOf(
      z.object({
        id: optional(z.string()),
        function: z.object({ name: z.string(), arguments: z.record(z.string(), z.unknown()) }),
      }),
    ),
  ),
  tool_name: optional(z.string()),
  tool_call_id: optional(z.string()),
})

const tool = z.object({
  type: optional(z.string()),
  function: z.looseObject({
    name: z.string(),
    description: optional(z.string()),
    parameters: optional(z.record(z.string(), z.unknown())),
  }),
})

export const chatBody = z.object({
  ...generationFields,
  messages: optional(listOf(message)),
  tools: optional(listOf(tool)),
})

export const generateBody = z.object({
  ...generationFields,
  prompt: optional(z.string()),
  system: optional(z.string()),
  raw: optional(z.boolean()),
  images,
  suffix: optional(z.literal('')),
  template: optional(z.literal('')),
  context: optional(listOf(z.number().int().nonnegative())),
})

export const showBody = z.object({
  model: optional(z.string()),
  name: optional(z.string()),
  verbose: optional(z.boolean()),
})

export const embedBody = z.object({
  ...base,
  input: z.union([z.string(), listOf(z.string())], 'expected a string or a list of strings'),
  truncate: optional(z.boolean()),
  dimensions: optional(z.number().int().min(1)),
})

/** The older form, of one text. */
export const embeddingsBody = z.object({ ...base, prompt: z.string() })

export type OllamaChat = z.infer<typeof chatBody>
export type OllamaGenerate = z.infer<typeof generateBody>
export type OllamaOptions = z.infer<typeof options>
