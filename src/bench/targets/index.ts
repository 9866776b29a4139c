/** The servers that the load generator knows. To add one: a file beside this one and a line here. */
import type { TargetAdapter } from './adapter.ts'
import { llamaServer } from './llama-server.ts'
import { ollama } from './ollama.ts'
import { openAi } from './openai.ts'
import { switchyard } from './switchyard.ts'
import { vllm } from './vllm.ts'

/** In the order in which an unknown server is tried; the last takes everybody. */
export const adapters: readonly TargetAdapter[] = [switchyard, vllm, llamaServer, ollama, openAi]

export const adapterNames = adapters.map(({ name }) => name)
