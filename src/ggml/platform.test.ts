import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { findLibraryFile, findLibraryFolder, packagesFor, type PlatformQuery } from './platform.ts'

let root: string

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'switchyard-platform-'))
})
afterEach(() => rmSync(root, { recursive: true }))

const files = {
  linux: ['libggml-base.so', 'libggml.v0.5.0.so', 'libllama.v0.5.0.so', 'libggml-cpu-haswell.so'],
}

function install(name: string, version = '3.22.1'): string {
  const dir = join(root, 'node_modules', '@node-llama-cpp', name)
  const bins = join(dir, 'bins', name)
  mkdirSync(bins, { recursive: true })
  writeFileSync(join(dir, 'package.json'), JSON.stringify({ name: `@node-llama-cpp/${name}`, version }))
  for (const file of files.linux) writeFileSync(join(bins, file), '')
  return bins
}

const linux = (device: PlatformQuery['device'], env: NodeJS.ProcessEnv = {}): PlatformQuery => ({
  device,
  platform: 'linux',
  arch: 'x64',
  env,
  searchRoots: [join(root, 'deep', 'inside')],
})

describe('findLibraryFolder', () => {
  it('takes the CPU package when there is no other', () => {
    const dir = install('linux-x64')
    expect(findLibraryFolder(linux('auto'))).toEqual({
      dir,
      device: 'cpu',
      packageName: '@node-llama-cpp/linux-x64',
    })
    expect(findLibraryFolder(linux('cpu')).dir).toBe(dir)
  })

  it('prefers an accelerator that is installed, and the CPU when asked for', () => {
    const cpu = install('linux-x64')
    const vulkan = install('linux-x64-vulkan')
    expect(findLibraryFolder(linux('auto'))).toMatchObject({ dir: vulkan, device: 'vulkan' })
    const cuda = install('linux-x64-cuda')
    expect(findLibraryFolder(linux('auto'))).toMatchObject({ dir: cuda, device: 'cuda' })
    expect(findLibraryFolder(linux('vulkan')).dir).toBe(vulkan)
    expect(findLibraryFolder(linux('cpu')).dir).toBe(cpu)
  })

  it('runs the CPU from an accelerator package when there is no other', () => {
    const cuda = install('linux-x64-cuda')
    expect(findLibraryFolder(linux('cpu'))).toEqual({
      dir: cuda,
      device: 'cpu',
      packageName: '@node-llama-cpp/linux-x64-cuda',
    })
  })

  it('says what it looked for, where, and how to get it', () => {
    install('linux-x64')
    const search = (): unknown => findLibraryFolder(linux('cuda'))
    expect(search).toThrow(expect.objectContaining({ code: 'LIBRARY_NOT_FOUND' }))
    expect(search).toThrow(
      '@node-llama-cpp/linux-x64-cuda in node_modules of ' + join(root, 'deep', 'inside'),
    )
    expect(search).toThrow('switchyard setup --device cuda')
    expect(search).toThrow('npm install @node-llama-cpp/linux-x64-cuda@3.22.1')
  })

  it('offers the CPU package when nothing at all is installed', () => {
    expect(() => findLibraryFolder(linux('auto'))).toThrow('npm install @node-llama-cpp/linux-x64@3.22.1')
  })

  it('says when a platform has no libraries for a device', () => {
    expect(() => findLibraryFolder(linux('metal'))).toThrow(
      /no prebuilt ggml libraries for device "metal" on linux-x64/,
    )
    expect(() => findLibraryFolder({ ...linux('auto'), platform: 'aix' })).toThrow(/on aix-x64/)
  })

  it('refuses another version of a package', () => {
    install('linux-x64', '3.21.0')
    expect(() => findLibraryFolder(linux('cpu'))).toThrow(
      expect.objectContaining({
        code: 'LIBRARY_MISMATCH',
        message: expect.stringContaining('npm install @node-llama-cpp/linux-x64@3.22.1') as string,
      }),
    )
  })

  it('lets SWITCHYARD_GGML_DIR win and tells the device by the files', () => {
    install('linux-x64')
    const own = join(root, 'own')
    mkdirSync(own)
    for (const file of ['libggml-base.so.0.25.1', 'libggml.so', 'libllama.so.0', 'libggml-cuda.so']) {
      writeFileSync(join(own, file), '')
    }
    const folder = findLibraryFolder(linux('auto', { SWITCHYARD_GGML_DIR: own }))
    expect(folder).toEqual({ dir: own, device: 'cuda', packageName: undefined })
  })

  it('does not fall back from a wrong SWITCHYARD_GGML_DIR', () => {
    install('linux-x64')
    expect(() => findLibraryFolder(linux('auto', { SWITCHYARD_GGML_DIR: root }))).toThrow(
      expect.objectContaining({
        code: 'LIBRARY_NOT_FOUND',
        message: expect.stringContaining(root) as string,
      }),
    )
  })
})

describe('packagesFor', () => {
  it('serves the CPU from the Metal package on Apple silicon', () => {
    const names = (device: PlatformQuery['device']): string[] =>
      packagesFor({ device, platform: 'darwin', arch: 'arm64' }).map(
        ({ name, device: kind }) => `${name} ${kind}`,
      )
    expect(names('auto')).toEqual(['@node-llama-cpp/mac-arm64-metal metal'])
    expect(names('cpu')).toEqual(['@node-llama-cpp/mac-arm64-metal cpu'])
    expect(names('cuda')).toEqual([])
  })
})

describe('findLibraryFile', () => {
  it('knows the names of every platform and no neighbours', () => {
    const names = [
      'libggml-base.so',
      'libggml-cpu-x64.so',
      'libggml-cuda.so',
      'libggml.cuda.v0.5.0.so',
      'libllama-common.so',
      'libllama.so.0',
      'libggml-base.dylib',
      'libggml-metal.so',
      'libggml.0.25.1.dylib',
      'libllama.metal.v0.5.0.dylib',
      'libllama-common.dylib',
      'ggml-vulkan.dll',
      'llama-common.dll',
      'ggml-base.dll',
      'ggml.v0.5.0.dll',
      'llama.dll',
    ]
    for (const name of names) writeFileSync(join(root, name), '')
    const find = (name: 'ggml-base' | 'ggml' | 'llama', platform: NodeJS.Platform): string | undefined =>
      findLibraryFile(root, name, platform)?.slice(root.length + 1)
    expect(find('ggml-base', 'linux')).toBe('libggml-base.so')
    expect(find('ggml', 'linux')).toBe('libggml.cuda.v0.5.0.so')
    expect(find('llama', 'linux')).toBe('libllama.so.0')
    expect(find('ggml', 'darwin')).toBe('libggml.0.25.1.dylib')
    expect(find('llama', 'darwin')).toBe('libllama.metal.v0.5.0.dylib')
    expect(find('ggml-base', 'darwin')).toBe('libggml-base.dylib')
    expect(find('ggml', 'win32')).toBe('ggml.v0.5.0.dll')
    expect(find('ggml-base', 'win32')).toBe('ggml-base.dll')
    expect(find('llama', 'win32')).toBe('llama.dll')
  })

  it('finds nothing in a folder that is not there', () => {
    expect(findLibraryFile(join(root, 'none'), 'ggml', 'linux')).toBeUndefined()
  })
})
