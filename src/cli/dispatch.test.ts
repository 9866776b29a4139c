import { describe, expect, it } from 'vitest'

import { dispatch } from './dispatch.ts'

async function run(args: readonly string[]): Promise<{ status: number; stdout: string }> {
  let stdout = ''
  const status = await dispatch(args, (text) => (stdout += text))
  return { status, stdout }
}

describe('switchyard', () => {
  it('shows its commands when it is given none', async () => {
    const { status, stdout } = await run([])
    expect(status).toBe(0)
    for (const verb of ['serve', 'chat', 'bench', 'report', 'setup', 'version', 'help'])
      expect(stdout).toContain(`  ${verb}`)
  })

  it.each(['serve', 'chat', 'bench', 'report', 'profile', 'setup'])(
    'has help for %s, by flag and by verb',
    async (verb) => {
      const [byFlag, byVerb] = await Promise.all([run([verb, '--help']), run(['help', verb])])
      expect(byFlag).toEqual(byVerb)
      expect(byFlag.status).toBe(0)
      expect(byFlag.stdout).toMatch(new RegExp(`^Usage: switchyard ${verb}`))
    },
  )

  it.each([
    [['sreve'], 'Unknown command "sreve". Did you mean serve?'],
    [['serve', '--prot', '1'], 'Unknown option --prot. Did you mean --port?'],
    [['serve', 'a.gguf', 'b.gguf'], 'Unexpected argument "b.gguf".'],
    [['serve', 'a.gguf', '-m', 'b.gguf'], 'The model is named twice: "a.gguf" and --model.'],
    [['bench', '--rate', '1', '--concurrency', '1'], '--concurrency is a closed loop'],
    [['bench', '--url', 'localhost'], '--target localhost: expected NAME=http://host:port.'],
    [['report'], 'A file is missing: switchyard report FILE.json'],
    [['report', 'no-such-file.json'], 'no-such-file.json: cannot be read'],
    [['setup'], '--device is missing: one of cuda, vulkan, metal.'],
  ])('answers %j with one line', async (args, message) => {
    const error = await run(args).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'INVALID_CONFIG' })
    expect(String(error)).toContain(message)
    expect(String(error)).not.toContain('\n')
  })
})
