/**
 * Finds the folder with the ggml and llama libraries for this machine and a device choice, and the files in it.
 * It opens nothing; `library.ts` does.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

import { ServingError } from '../core/errors.ts'

/** What a user may ask for. `auto`: an installed accelerator package, else the CPU. */
export const devices = ['auto', 'cpu', 'cuda', 'vulkan', 'metal'] as const
export type Device = (typeof devices)[number]
/** What a folder of libraries is for, once chosen. */
export type ChosenDevice = Exclude<Device, 'auto'>

/** The C ABI is the contract, so one exact version of the prebuilt libraries is accepted. */
export const libraryPackageVersion = '3.22.1'

/** One npm package with prebuilt libraries, and the device it is for. */
export interface LibraryPackage {
  readonly name: string
  readonly device: ChosenDevice
}

/** Where the libraries are. `packageName` is undefined for a folder named by `SWITCHYARD_GGML_DIR`. */
export interface LibraryFolder {
  readonly dir: string
  readonly device: ChosenDevice
  readonly packageName: string | undefined
}

export interface PlatformQuery {
  readonly device: Device
  readonly platform?: NodeJS.Platform
  readonly arch?: string
  readonly env?: NodeJS.ProcessEnv
  /** Folders whose `node_modules` (own or of a parent) may hold the packages, in order of preference. */
  readonly searchRoots?: readonly string[]
}

const platformNames: Partial<Record<NodeJS.Platform, string>> = {
  linux: 'linux',
  darwin: 'mac',
  win32: 'win',
}
const archNames: Record<string, string> = { x64: 'x64', arm64: 'arm64', arm: 'armv7l' }

/** Published packages by platform, in the order `auto` prefers them. */
const packagesByPlatform: Record<string, readonly LibraryPackage[]> = {
  'linux-x64': [
    { name: 'linux-x64-cuda', device: 'cuda' },
    { name: 'linux-x64-vulkan', device: 'vulkan' },
    { name: 'linux-x64', device: 'cpu' },
  ],
  'linux-arm64': [{ name: 'linux-arm64', device: 'cpu' }],
  'linux-armv7l': [{ name: 'linux-armv7l', device: 'cpu' }],
  'mac-arm64': [{ name: 'mac-arm64-metal', device: 'metal' }],
  'mac-x64': [{ name: 'mac-x64', device: 'cpu' }],
  'win-x64': [
    { name: 'win-x64-cuda', device: 'cuda' },
    { name: 'win-x64-vulkan', device: 'vulkan' },
    { name: 'win-x64', device: 'cpu' },
  ],
  'win-arm64': [{ name: 'win-arm64', device: 'cpu' }],
}

/** Where `switchyard setup` puts packages that were asked for later: outside any project. */
export function userPackageDir(env: NodeJS.ProcessEnv = process.env): string {
  return env['SWITCHYARD_HOME'] ?? join(homedir(), '.switchyard')
}

/**
 * The packages that can serve a device on this platform, best first; full npm names. Every package carries the CPU's
 * kernels, so the others stand in for a CPU package that is not there.
 */
export function packagesFor(query: PlatformQuery): readonly LibraryPackage[] {
  const platform = platformNames[query.platform ?? process.platform] ?? query.platform ?? process.platform
  const arch = archNames[query.arch ?? process.arch] ?? query.arch ?? process.arch
  const all = (packagesByPlatform[`${platform}-${arch}`] ?? []).map(({ name, device }) => ({
    name: `@node-llama-cpp/${name}`,
    device,
  }))
  if (query.device === 'auto') return all
  if (query.device === 'cpu') return all.toReversed().map(({ name }) => ({ name, device: 'cpu' }))
  return all.filter(({ device }) => device === query.device)
}

/**
 * The folder to open for a device. `SWITCHYARD_GGML_DIR` wins; then the first installed package that fits.
 * @throws {ServingError} LIBRARY_NOT_FOUND, naming what was looked for and where; LIBRARY_MISMATCH for a package of
 * another version.
 */
export function findLibraryFolder(query: PlatformQuery): LibraryFolder {
  const env = query.env ?? process.env
  const override = env['SWITCHYARD_GGML_DIR']
  if (override !== undefined && override !== '') return overriddenFolder(resolve(override), query)

  const roots = query.searchRoots ?? defaultSearchRoots(env)
  const candidates = packagesFor(query)
  for (const candidate of candidates) {
    const packageDir = findPackageDir(candidate.name, roots)
    if (packageDir === undefined) continue
    requireVersion(candidate.name, packageDir)
    const dir = join(packageDir, 'bins', candidate.name.slice('@node-llama-cpp/'.length))
    if (hasLibraries(dir, query)) return { dir, device: candidate.device, packageName: candidate.name }
  }
  throw notFound(query, candidates, roots)
}

export type LibraryName = 'ggml-base' | 'ggml' | 'llama'

/**
 * Path of one library in a folder. File names carry versions that differ by platform and build
 * (`libggml.v0.5.0.so`, `libllama.cuda.v0.5.0.so`, `libggml.so.0`, `ggml-base.dll`), so they are matched by pattern.
 */
export function findLibraryFile(
  dir: string,
  name: LibraryName,
  platform = process.platform,
): string | undefined {
  const pattern = libraryPattern(name, platform)
  if (!existsSync(dir)) return undefined
  const files = readdirSync(dir).filter((file) => pattern.test(file))
  // The shortest name is the unversioned one or the link to it.
  const [best] = files.toSorted((a, b) => a.length - b.length || (a < b ? -1 : 1))
  return best === undefined ? undefined : join(dir, best)
}

function libraryPattern(name: LibraryName, platform: NodeJS.Platform): RegExp {
  const version = String.raw`((\.[a-z]+)?\.v?\d[\d.]*)?`
  if (platform === 'win32') return new RegExp(String.raw`^(lib)?${name}${version}\.dll$`)
  if (platform === 'darwin') return new RegExp(String.raw`^lib${name}${version}\.dylib$`)
  return new RegExp(String.raw`^lib${name}${version}\.so(\.\d+)*$`)
}

function hasLibraries(dir: string, query: PlatformQuery): boolean {
  const platform = query.platform ?? process.platform
  return (['ggml-base', 'ggml', 'llama'] as const).every(
    (name) => findLibraryFile(dir, name, platform) !== undefined,
  )
}

function overriddenFolder(dir: string, query: PlatformQuery): LibraryFolder {
  if (hasLibraries(dir, query)) {
    return { dir, device: query.device === 'auto' ? guessDevice(dir) : query.device, packageName: undefined }
  }
  throw new ServingError(
    'LIBRARY_NOT_FOUND',
    `SWITCHYARD_GGML_DIR is ${dir}, but that folder does not hold the libraries ggml-base, ggml and llama.`,
  )
}

/** Which device a foreign build is for, by the backend libraries that lie beside it. */
function guessDevice(dir: string): ChosenDevice {
  const files = readdirSync(dir)
  const has = (device: ChosenDevice): boolean => files.some((file) => file.includes(`ggml-${device}`))
  return (['cuda', 'metal', 'vulkan'] as const).find(has) ?? 'cpu'
}

function defaultSearchRoots(env: NodeJS.ProcessEnv): readonly string[] {
  return [dirname(fileURLToPath(import.meta.url)), process.cwd(), userPackageDir(env)]
}

/** Walks up from each root like Node's own resolution, without needing the package to export anything. */
function findPackageDir(name: string, roots: readonly string[]): string | undefined {
  for (const root of roots) {
    const lookups = createRequire(join(root, 'noop.js')).resolve.paths(name) ?? []
    const found = lookups
      .map((folder) => join(folder, name))
      .find((dir) => existsSync(join(dir, 'package.json')))
    if (found !== undefined) return found
  }
  return undefined
}

function requireVersion(name: string, packageDir: string): void {
  const manifest: unknown = JSON.parse(readFileSync(join(packageDir, 'package.json'), 'utf8'))
  const version = (manifest as { version?: unknown }).version
  if (version === libraryPackageVersion) return
  throw new ServingError(
    'LIBRARY_MISMATCH',
    `${name} in ${packageDir} is version ${String(version)}; this release needs ${libraryPackageVersion}. ` +
      `Run: npm install ${name}@${libraryPackageVersion}`,
  )
}

function notFound(
  query: PlatformQuery,
  candidates: readonly LibraryPackage[],
  roots: readonly string[],
): ServingError {
  const machine = `${query.platform ?? process.platform}-${query.arch ?? process.arch}`
  const override = 'or point SWITCHYARD_GGML_DIR at a folder with the libraries.'
  const wanted = candidates.at(query.device === 'auto' ? -1 : 0)
  if (wanted === undefined) {
    return new ServingError(
      'LIBRARY_NOT_FOUND',
      `There are no prebuilt ggml libraries for device "${query.device}" on ${machine}. Choose another device, ${override}`,
    )
  }
  const setup = query.device === 'auto' ? '' : `"switchyard setup --device ${query.device}" or `
  return new ServingError(
    'LIBRARY_NOT_FOUND',
    `No ggml libraries for device "${query.device}" on ${machine}: looked for ` +
      `${[...new Set(candidates.map(({ name }) => name))].join(', ')} in node_modules of ${roots.join(', ')} and their parents. ` +
      `Run ${setup}"npm install ${wanted.name}@${libraryPackageVersion}", ${override}`,
  )
}
