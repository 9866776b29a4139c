/** `switchyard setup`: fetches the prebuilt libraries of an accelerator, at the exact version this release needs. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'

import type { CommandLine } from '../config/command-line.ts'
import { resolveSettings } from '../config/resolve.ts'
import { choice, optionalSetting, type SettingTable } from '../config/setting.ts'
import { ServingError } from '../core/errors.ts'
import {
  devices,
  findLibraryFolder,
  libraryPackageVersion,
  packagesFor,
  userPackageDir,
  type Device,
} from '../ggml/platform.ts'
import type { Command } from './command.ts'

type Accelerator = Exclude<Device, 'auto' | 'cpu'>
const accelerators = devices.filter((device): device is Accelerator => device !== 'auto' && device !== 'cpu')

const options = {
  device: optionalSetting(choice(accelerators), {
    about: 'Which accelerator.',
    defaultText: 'must be given',
  }),
} as const satisfies SettingTable

export const setup: Command = {
  usage: `--device ${accelerators.join('|')}`,
  about:
    'Installs the kernels for an accelerator with npm, into ~/.switchyard or the folder in SWITCHYARD_HOME.\n' +
    'The CPU needs none. The packages have between 70 and 540 MB.',
  options,
  run,
}

async function run(line: CommandLine): Promise<number> {
  const { device } = resolveSettings(options, line).values
  if (device === undefined) {
    throw new ServingError('INVALID_CONFIG', `--device is missing: one of ${accelerators.join(', ')}.`)
  }
  const [wanted] = packagesFor({ device })
  if (wanted === undefined) {
    throw new ServingError(
      'LIBRARY_NOT_FOUND',
      `There are no prebuilt libraries for ${device} on ${process.platform}-${process.arch}. ` +
        'Build ggml and llama.cpp yourself and point SWITCHYARD_GGML_DIR at the folder.',
    )
  }
  const dir = userPackageDir()
  mkdirSync(dir, { recursive: true })
  await npmInstall(dir, `${wanted.name}@${libraryPackageVersion}`)
  const found = findLibraryFolder({ device })
  process.stdout.write(`Ready: switchyard serve --device ${device} (libraries in ${found.dir})\n`)
  return 0
}

async function npmInstall(dir: string, specifier: string): Promise<void> {
  const args = ['install', '--prefix', dir, '--no-audit', '--no-fund', specifier]
  process.stderr.write(`npm ${args.join(' ')}\n`)
  // On Windows npm is a script that only a shell can start.
  const child = spawn('npm', args, { stdio: 'inherit', shell: process.platform === 'win32' })
  const [status] = (await once(child, 'close').catch((cause: unknown) => {
    throw new ServingError('LIBRARY_NOT_FOUND', 'npm cannot be started; is it on the PATH?', { cause })
  })) as [number | null]
  if (status !== 0) throw new ServingError('LIBRARY_NOT_FOUND', `npm could not install ${specifier}.`)
}
