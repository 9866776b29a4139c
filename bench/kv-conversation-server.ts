/**
 * The server with swapping as it would be without care: blocks move one by one, and every step waits for them. Takes
 * the flags of `switchyard serve`; ends with SIGINT.
 */
import { once } from 'node:events'
import { startServer } from '../src/cli/start-server.ts'
import { parseCommandLine } from '../src/config/command-line.ts'
import { loadConfig } from '../src/config/resolve.ts'
import { settings } from '../src/config/schema.ts'

const { flags } = parseCommandLine(settings, process.argv.slice(2))
const { values } = loadConfig(flags, process.env)
const server = await startServer(values, {
  vary: ({ tiers, ...options }) => ({ ...options, tiers: tiers && { ...tiers, isBlockwise: true } }),
})
await once(process, 'SIGINT')
await server.close()
