/** Runs a null server in a process of its own and tells its URL to the parent. */
import { startNullServer, type NullServerOptions } from './null-server.ts'

const { url } = await startNullServer(JSON.parse(process.argv[2] ?? '{}') as NullServerOptions)
process.send?.(url)
process.on('disconnect', () => process.exit(0))
