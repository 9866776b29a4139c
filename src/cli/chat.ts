/** `switchyard chat`: a conversation in the terminal, with a server of its own or one that runs elsewhere. */
import { randomUUID } from 'node:crypto'

import type { CommandLine } from '../config/command-line.ts'
import { loadConfig, resolveSettings } from '../config/resolve.ts'
import { settings } from '../config/schema.ts'
import {
  decimal,
  integer,
  optionalSetting,
  setting,
  text,
  type SettingTable,
  type SettingValues,
} from '../config/setting.ts'
import { runConversation, type ChatTarget } from './chat-session.ts'
import type { Command } from './command.ts'
import { findModel, parseEndpoint } from './openai-client.ts'
import { flagsWithModel, loadModel } from './serve.ts'
import { startServer } from './start-server.ts'

const chatOptions = {
  'max-tokens': setting(integer(1), { group: 'Chat', default: 512, about: 'Longest answer in tokens.' }),
  temperature: setting(decimal({ min: 0 }), {
    group: 'Chat',
    default: 0.7,
    about: 'How freely it answers; 0 always takes the likeliest token.',
  }),
  system: optionalSetting(text, { group: 'Chat', about: 'System prompt.' }),
  url: optionalSetting(text, {
    group: 'Chat',
    placeholder: 'URL',
    about:
      'Talk to this OpenAI-compatible server. --model is a name there; the other options below have no effect.',
  }),
  config: optionalSetting(text, { group: 'Chat', placeholder: 'FILE', about: 'YAML file of settings.' }),
} as const satisfies SettingTable

type ChatOptions = SettingValues<typeof chatOptions>

const { host: _host, port: _port, ...ownServerSettings } = settings

export const chat: Command = {
  usage: '[FILE] [options]',
  about: 'Talks to a model in the terminal. FILE is short for --model FILE.',
  options: { ...chatOptions, ...ownServerSettings },
  notes:
    'In the conversation: /reset forgets it, /exit leaves, /help shows this. Ctrl-C stops an answer; at the\n' +
    'prompt, twice leaves.',
  run,
}

async function run(line: CommandLine): Promise<number> {
  const options = resolveSettings(chatOptions, line).values
  const flags = flagsWithModel(line)
  return options.url === undefined ? talkToOwn(options, flags) : talkToOther(options, options.url, flags)
}

async function talkToOther(
  options: ChatOptions,
  url: string,
  flags: ReadonlyMap<string, string>,
): Promise<number> {
  const endpoint = parseEndpoint(url, flags.get('api-key') ?? process.env['SWITCHYARD_API_KEY'])
  const model = flags.get('model') ?? (await findModel(endpoint))
  await runConversation({ ...chatTarget(options), endpoint, model })
  return 0
}

/** A server on a free port of this machine, with a key that nobody else knows. */
async function talkToOwn(options: ChatOptions, flags: ReadonlyMap<string, string>): Promise<number> {
  const { values, origins } = loadConfig(flags, process.env)
  const apiKey = randomUUID()
  const server = await startServer({
    ...values,
    host: '127.0.0.1',
    port: 0,
    apiKey,
    logLevel: origins.get('log-level') === 'default' ? 'silent' : values.logLevel,
  })
  try {
    await loadModel(server.engine)
    const endpoint = { url: server.url, apiKey }
    await runConversation({ ...chatTarget(options), endpoint, model: server.modelName })
  } finally {
    await server.close()
  }
  return 0
}

function chatTarget({ maxTokens, temperature, system }: ChatOptions): Omit<ChatTarget, 'endpoint' | 'model'> {
  return { maxTokens, temperature, system }
}
