import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { parseCommandLine } from './command-line.ts'
import { configText, optionsHelp } from './describe.ts'
import { loadConfig } from './resolve.ts'
import { settings } from './schema.ts'
import { setting, text, type SettingTable } from './setting.ts'

const table: SettingTable = {
  ...settings,
  config: setting(text, { about: 'File of settings.', placeholder: 'FILE', default: '' }),
}

function load(args: readonly string[], env: Record<string, string> = {}) {
  return loadConfig(parseCommandLine(table, args).flags, env)
}

describe('the settings of a server', () => {
  let folder: string
  const file = (content: string): string => {
    const path = join(folder, 'server.yaml')
    writeFileSync(path, content)
    return path
  }

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'switchyard-config-'))
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  it('have defaults that name the bundled model and let only this machine in', () => {
    const { values, origins } = load([])
    expect(values).toMatchObject({ host: '127.0.0.1', port: 8000, maxNumSeqs: 64, device: 'auto' })
    expect(values.model).toMatch(/yardling-q8_0\.gguf$/)
    expect(values.maxTbtMs).toBeUndefined()
    expect(new Set(origins.values())).toEqual(new Set(['default']))
  })

  it('come from the flag before the environment, from that before the file, from that before the default', () => {
    const path = file('port: 1\nhost: from-file\nmax-num-seqs: 7\n')
    const env = { SWITCHYARD_PORT: '2', SWITCHYARD_HOST: 'from-env' }
    const { values, origins } = load(['--port', '3', '--config', path], env)
    expect(values).toMatchObject({ port: 3, host: 'from-env', maxNumSeqs: 7, blockSize: 32 })
    expect(['port', 'host', 'max-num-seqs', 'block-size'].map((key) => origins.get(key))).toEqual([
      '--port',
      'SWITCHYARD_HOST',
      path,
      'default',
    ])
  })

  it('find the file through the environment too', () => {
    expect(load([], { SWITCHYARD_CONFIG: file('port: 9') }).values.port).toBe(9)
  })

  it('refuse a mistyped environment variable, and let those of others be', () => {
    expect(() => load([], { SWITCHYARD_MAX_NUM_SEQ: '4' })).toThrow(
      'Unknown environment variable SWITCHYARD_MAX_NUM_SEQ. Did you mean SWITCHYARD_MAX_NUM_SEQS?',
    )
    expect(() => load([], { SWITCHYARD_PRT: '' })).not.toThrow()
    const others = { SWITCHYARD_SERVICE_HOST: '10.0.0.1', SWITCHYARD_PORT_8000_TCP: 'tcp://10.0.0.1:8000' }
    expect(load([], { ...others, SWITCHYARD_HOME: '/h', HOME: '/root' }).values.port).toBe(8000)
  })

  it('take an empty environment variable for none', () => {
    expect(load([], { SWITCHYARD_PORT: '', SWITCHYARD_CONFIG: '' }).values.port).toBe(8000)
  })

  it('read switches, short flags, inline values and lists', () => {
    const args = ['-t', '3', '--batch-invariant', '--port=0', '--served-model-name', 'a, b']
    const { values } = load(args)
    expect(values).toMatchObject({ threads: 3, batchInvariant: true, port: 0, servedModelName: ['a', 'b'] })
    expect(load(['--no-batch-invariant'], { SWITCHYARD_BATCH_INVARIANT: '1' }).values.batchInvariant).toBe(
      false,
    )
    const path = file('served-model-name: [x, y]\nbatch-invariant: true\napi-key: 1234\n')
    expect(load(['--config', path]).values).toMatchObject({
      servedModelName: ['x', 'y'],
      batchInvariant: true,
      apiKey: '1234',
    })
  })

  it.each([
    [['--prot', '1'], 'Unknown option --prot. Did you mean --port?'],
    [['--max_model_len', '1'], 'Unknown option --max_model_len. Did you mean --max-model-len?'],
    [['-z'], 'Unknown option -z.'],
    [['--no-port'], /^Unknown option --no-port\./],
    [['--port'], '--port needs a value: an integer from 0 to 65535.'],
    [['--model', '--port', '1'], '--model needs a value: a text.'],
    [['--port', '1', '--port', '2'], '--port is given twice.'],
    [['--port', '65536'], '--port: expected an integer from 0 to 65535, got "65536".'],
    [['--port', '-1'], '--port: expected an integer from 0 to 65535, got "-1".'],
    [['--port', '80.5'], '--port: expected an integer from 0 to 65535, got "80.5".'],
    [['--block-size', '24'], '--block-size: expected a power of two from 1 to 4096, got "24".'],
    [['--max-tbt-ms', '0'], '--max-tbt-ms: expected a number above 0, got "0".'],
    [['--device', 'tpu'], '--device: expected one of auto, cpu, cuda, vulkan, metal, got "tpu".'],
    [['--batch-invariant=maybe'], '--batch-invariant: expected true or false, got "maybe".'],
    [['--constructor', '1'], /^Unknown option --constructor\./],
  ])('refuse %j in one line', (args, message) => {
    expect(() => load(args)).toThrow(message)
  })

  it('name the variable or the place in the file that is wrong', () => {
    expect(() => load([], { SWITCHYARD_PORT: 'x' })).toThrow(
      'SWITCHYARD_PORT: expected an integer from 0 to 65535, got "x".',
    )
    const load2 = (content: string) => () => load(['--config', file(content)])
    expect(load2('port: [1]')).toThrow(
      /server\.yaml: port: expected an integer from 0 to 65535, got \[1\]\.$/,
    )
    expect(load2('prt: 1')).toThrow(/server\.yaml: unknown key "prt"\. Did you mean port\?$/)
    expect(load2('config: x')).toThrow(/unknown key "config"/)
    expect(load2('- 1')).toThrow(/expected a map of settings/)
    expect(load2('a: b: c')).toThrow(/not valid YAML/)
    expect(load2('port: [1')).toThrow(/not valid YAML: .* at line 1, column \d+\.$/)
    expect(load2('port:')).toThrow(/port: expected an integer/)
    expect(() => load(['--config', join(folder, 'none.yaml')])).toThrow(
      /none\.yaml: cannot be read \(ENOENT\)/,
    )
  })

  it('keep a wrong key out of the message', () => {
    const path = file('api-key: [swordfish]')
    expect(() => load(['--config', path])).toThrow(/^(?!.*swordfish).*api-key: expected a text/)
  })

  it('survive any command line', () => {
    const words = fc.oneof(fc.string(), fc.constantFrom(...Object.keys(table).map((key) => `--${key}`)))
    fc.assert(
      fc.property(fc.array(words), (args) => {
        try {
          parseCommandLine(table, args)
        } catch (error) {
          expect(error).toMatchObject({ code: 'INVALID_CONFIG' })
        }
      }),
    )
  })

  it('are listed with their values and origins, but for the key', () => {
    const listed = configText(load(['--port', '3', '--api-key', 'swordfish'], { SWITCHYARD_HOST: 'h' }))
    expect(listed).toMatch(/^port +3 +--port$/m)
    expect(listed).toMatch(/^host +h +SWITCHYARD_HOST$/m)
    expect(listed).toMatch(/^threads +\(one per core\) +default$/m)
    expect(listed).toMatch(/^api-key +\(hidden\) +--api-key$/m)
    expect(listed).not.toContain('swordfish')
  })

  it('are all in the help, which stays within its width', () => {
    const help = optionsHelp(table, 80)
    for (const key of Object.keys(table)) expect(help.replace('[no-]', '')).toContain(`--${key}`)
    expect(Math.max(...help.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80)
    expect(help).toContain('-t, --threads N')
    expect(help).toContain('[one per core]')
    expect(help).toContain('--[no-]prefix-cache')
    expect(help).toMatch(/ --batch-invariant /)
  })
})
