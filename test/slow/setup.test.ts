/** `switchyard setup` with npm itself, against a registry on the loopback that holds one package. */
import { execFile, execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { libraryPackageVersion, packagesFor } from '../../src/ggml/platform.ts'

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const [wanted] = packagesFor({ device: 'vulkan' })

let folder: string
let registry: Server

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'switchyard-setup-'))
})
afterEach(() => {
  registry.close()
  registry.closeAllConnections()
  rmSync(folder, { recursive: true })
})

/** A package with empty files by the names of the libraries, as npm packs it. */
function packTarball(name: string): Buffer {
  const bins = join(folder, 'package', 'bins', name.split('/')[1]!)
  mkdirSync(bins, { recursive: true })
  const manifest = { name, version: libraryPackageVersion }
  writeFileSync(join(folder, 'package', 'package.json'), JSON.stringify(manifest))
  for (const file of ['libggml-base.so', 'libggml.so', 'libllama.so']) writeFileSync(join(bins, file), '')
  const path = join(folder, 'package.tgz')
  execFileSync('tar', ['-czf', path, '-C', folder, 'package'])
  return readFileSync(path)
}

async function serveRegistry(name: string, version: string): Promise<string> {
  const tarball = packTarball(name)
  const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`
  let url = ''
  registry = createServer((request, response) => {
    if (request.url === '/package.tgz') return response.end(tarball)
    if (decodeURIComponent(request.url ?? '') !== `/${name}`) return response.writeHead(404).end('{}')
    const dist = { tarball: `${url}/package.tgz`, integrity }
    const versions = { [version]: { name, version, dist } }
    return response.end(JSON.stringify({ name, 'dist-tags': { latest: version }, versions }))
  }).listen(0, '127.0.0.1')
  await once(registry, 'listening')
  url = `http://127.0.0.1:${(registry.address() as AddressInfo).port}`
  return url
}

function setUp(registryUrl: string): Promise<{ status: number | null; stdout: string; stderr: string }> {
  const env = {
    ...process.env,
    SWITCHYARD_HOME: join(folder, 'home'),
    npm_config_registry: registryUrl,
    npm_config_cache: join(folder, 'cache'),
  }
  return new Promise((resolve) => {
    const args = ['--import', 'tsx', main, 'setup', '--device', 'vulkan']
    const child = execFile(process.execPath, args, { env }, (_error, stdout, stderr) =>
      resolve({ status: child.exitCode, stdout, stderr }),
    )
  })
}

describe.skipIf(wanted === undefined || process.platform === 'win32')('switchyard setup', () => {
  it('installs the exact package, and says how to use it', async () => {
    const { status, stdout } = await setUp(await serveRegistry(wanted!.name, libraryPackageVersion))
    expect(status).toBe(0)
    expect(stdout).toMatch(/^Ready: switchyard serve --device vulkan \(libraries in .*\)$/m)
    const installed = join(folder, 'home', 'node_modules', wanted!.name, 'package.json')
    expect(existsSync(installed)).toBe(true)
  })

  it('fails with npm, naming what could not be installed', async () => {
    const { status, stderr } = await setUp(await serveRegistry(wanted!.name, '1.0.0'))
    expect(status).toBe(1)
    expect(stderr).toMatch(
      new RegExp(`^switchyard: npm could not install ${wanted!.name}@${libraryPackageVersion}\\.$`, 'm'),
    )
  })
})
