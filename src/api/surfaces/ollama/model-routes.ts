/** What Ollama tells about models: those that are served are there, loaded, and stay. */
import type { FastifyInstance } from 'fastify'
import type { ModelCard } from '../../../core/model-card.ts'
import { checkModelName, modelName, requireEngine, type ApiContext } from '../../context.ts'
import { parseBody } from '../../errors.ts'
import { showBody } from './schema.ts'

/** The version of Ollama whose API this is: clients refuse older ones. */
const apiVersion = '0.12.0'
/** Ollama's way to say that a model stays loaded. */
const never = '2318-01-01T00:00:00Z'

export function ollamaModels(app: FastifyInstance, context: ApiContext): void {
  const names = context.config.servedModelNames

  app.get('/api/version', () => Promise.resolve({ version: apiVersion, switchyard: context.version }))

  app.get('/api/tags', () => Promise.resolve({ models: names.map((name) => entryOf(context, name)) }))

  app.get('/api/ps', async () => {
    const { maxModelLen } = await requireEngine(context)
    const size = context.card?.numBytes ?? 0
    return {
      models: names.map((name) => ({
        ...entryOf(context, name),
        expires_at: never,
        size_vram: size,
        context_length: maxModelLen,
      })),
    }
  })

  app.post('/api/show', async (request) => {
    const body = parseBody(showBody, request.body)
    checkModelName(context, (body.model ?? body.name ?? modelName(context)).replace(/:latest$/, ''))
    const { card } = context
    return {
      modelfile: `FROM ${modelName(context)}`,
      parameters: '',
      template: context.tokenizer.chatTemplate ?? '',
      license: card?.metadata['general.license'] ?? '',
      modified_at: card?.modifiedAt ?? new Date(context.startedAt * 1000).toISOString(),
      details: detailsOf(card),
      model_info: card?.metadata ?? {},
      capabilities: capabilitiesOf(context),
    }
  })
}

function entryOf({ card, startedAt }: ApiContext, name: string) {
  return {
    name,
    model: name,
    modified_at: card?.modifiedAt ?? new Date(startedAt * 1000).toISOString(),
    size: card?.numBytes ?? 0,
    digest: card?.digest ?? '',
    details: detailsOf(card),
  }
}

function detailsOf(card: ModelCard | undefined) {
  const family = card?.architecture ?? ''
  return {
    parent_model: '',
    format: 'gguf',
    family,
    families: [family],
    parameter_size: parameterSize(card?.numParameters ?? 0),
    quantization_level: card?.quantization ?? '',
  }
}

/** `7.6B`, `494M`. */
function parameterSize(count: number): string {
  const [by, unit] = count >= 1e9 ? [1e9, 'B'] : count >= 1e6 ? [1e6, 'M'] : [1e3, 'K']
  return `${Number((count / by).toPrecision(3))}${unit}`
}

/** Of tools and thinking the template knows whether it can speak of them. */
function capabilitiesOf({ tokenizer, card }: ApiContext): string[] {
  const template = tokenizer.chatTemplate ?? ''
  const isEmbedder = card?.pooling !== undefined && card.pooling !== 'none'
  return [
    ...(isEmbedder ? ['embedding'] : ['completion']),
    ...(/\btools\b/.test(template) ? ['tools'] : []),
    ...(/enable_thinking|<think>/.test(template) ? ['thinking'] : []),
  ]
}
