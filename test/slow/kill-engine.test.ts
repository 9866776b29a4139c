import { expect, it } from 'vitest'
import { createEngine } from '../../src/engine/create-engine.ts'
import type { EngineClient } from '../../src/engine/engine-client.ts'
import { createChatTemplate } from '../../src/text/chat-template.ts'
import { openLlamaTokenizer } from '../../src/text/llama-tokenizer.ts'
import { generate } from '../support/generate.ts'
import { testExecutorOptions } from '../support/single-sequence.ts'

const modelPath = 'models/yardling/yardling-q8_0.gguf'

/** Tasks that the bundled model has decided answers to: no ties that rounding could turn. */
const questions = [
  'Count from 1 to 40.',
  'Count from 5 to 30.',
  'Repeat exactly: plum K7-42 lantern',
  'Reply in JSON with name and age: Ada, 36',
  'Tell me a long story about Otto the old crane.',
  'What is continuous batching?',
  'Hello! Who are you?',
  'Count from 10 to 35.',
]

it('eight streams survive kill -9 of the engine with the answers they would have had', async () => {
  const tokenizer = openLlamaTokenizer(modelPath)
  const template = createChatTemplate(tokenizer.chatTemplate, tokenizer)
  const prompts = questions.map((content) =>
    tokenizer.encode(template.render([{ role: 'user', content }], { addGenerationPrompt: true }), {
      addSpecial: false,
      parseSpecial: true,
    }),
  )
  const engine = createEngine({
    executor: { ...testExecutorOptions, modelPath },
    scheduler: { maxNumSeqs: 16, maxNumBatchedTokens: 512, maxTbtMs: undefined, policy: 'fcfs' },
  })
  const answers = async (run: string, client: EngineClient, onToken: (count: number) => void) => {
    const results = await Promise.all(
      prompts.map((promptTokens, index) =>
        generate(client, { id: `${run}-${index}`, promptTokens, maxTokens: 120 }, onToken),
      ),
    )
    return results.map(({ tokens }) => tokenizer.decode(tokens))
  }
  const undisturbed = await answers('quiet', engine, () => undefined)
  const { pid } = await engine.ready()
  let killed = false
  const disturbed = await answers('killed', engine, (count) => {
    if (killed || count < 6) return
    killed = true
    process.kill(pid, 'SIGKILL')
  })
  await engine.close()

  expect(killed).toBe(true)
  expect(undisturbed[2]).toContain('plum K7-42 lantern')
  expect(disturbed).toEqual(undisturbed)
})
