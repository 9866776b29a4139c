/** Files of this folder that another process or thread runs: as they are, or as they were built. */
import { createRequire } from 'node:module'
import { extname } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'

/** What to fork, and the options with which Node can run it. */
export function programBeside(name: string): { readonly url: URL; readonly execArgv: string[] } {
  const url = urlBeside(name)
  return { url, execArgv: isSource(url) ? ['--import', loader('tsx')] : [] }
}

/** Starts a thread. Loaders of sources that came as options do not reach threads: those begin with the loader. */
export function startThread(name: string, workerData: unknown): Worker {
  const url = urlBeside(name)
  if (!isSource(url)) return new Worker(url, { workerData })
  // The twin for `import` of what `require` finds.
  const api = loader('tsx/esm/api').replace(/\.cjs$/, '.mjs')
  const code = `import('${api}').then(({ register }) => (register(), import('${url.href}')))`
  return new Worker(code, { eval: true, execArgv: [], workerData })
}

function urlBeside(name: string): URL {
  return new URL(`${name}${extname(fileURLToPath(import.meta.url))}`, import.meta.url)
}

const isSource = ({ pathname }: URL) => pathname.endsWith('.ts')

/** Found from this file and not from the working directory. */
function loader(name: string): string {
  return pathToFileURL(createRequire(import.meta.url).resolve(name)).href
}
