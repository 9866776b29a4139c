/** `switchyard chat` as somebody at a terminal has it: python3's pty module lends the terminal. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const hasPython = spawnSync('python3', ['-c', 'import pty']).status === 0
const ptyScript = 'import pty, sys, os; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))'

const ctrlC = '\u0003'
const ctrlD = '\u0004'
const arrowUp = '\u001b[A'
const arrowLeft = '\u001b[D'
const backspace = '\u007f'

/** A program on a terminal: what it showed, and somebody's keys. */
class Terminal {
  readonly exit: Promise<unknown[]>
  readonly #process: ChildProcess
  #screen = ''
  #seen = 0
  #onOutput: () => void = () => undefined

  constructor(args: readonly string[]) {
    this.#process = spawn('python3', ['-c', ptyScript, process.execPath, '--import', 'tsx', main, ...args], {
      env: { ...process.env, NO_COLOR: '1', TERM: 'xterm' },
    })
    this.exit = once(this.#process, 'exit')
    this.#process.stdout!.on('data', (piece: Buffer) => {
      this.#screen += String(piece)
      this.#onOutput()
    })
  }

  type(keys: string): void {
    this.#process.stdin!.write(keys)
  }

  /** Resolves with what was shown since the last time, up to and including `text`. */
  async until(text: string): Promise<string> {
    while (true) {
      const at = this.#screen.indexOf(text, this.#seen)
      if (at >= 0) {
        const shown = this.#screen.slice(this.#seen, at + text.length)
        this.#seen = at + text.length
        return shown
      }
      await new Promise<void>((resolve) => (this.#onOutput = resolve))
    }
  }

  close(): void {
    this.#process.kill('SIGKILL')
  }
}

/** Answers with the last question in capitals; "wait" is answered for ever. */
class Echo {
  readonly conversations: string[][] = []
  #onAbort: () => void = () => undefined
  readonly aborted = new Promise<void>((resolve) => (this.#onAbort = resolve))
  readonly #server: Server = createServer((request, response) => void this.#answer(request, response))

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  close(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.url === '/v1/models') return void response.end('{"data":[{"id":"echo"}]}')
    let text = ''
    for await (const piece of request) text += String(piece)
    const { messages } = JSON.parse(text) as { messages: { content: string }[] }
    const contents = messages.map(({ content }) => content)
    this.conversations.push(contents)
    const question = contents.at(-1) ?? ''
    const chunk = (content: string) =>
      response.write(
        `data: ${JSON.stringify({ choices: [{ delta: { content }, finish_reason: null }] })}\n\n`,
      )
    chunk(question.toUpperCase())
    if (question !== 'wait') return void response.end('data: [DONE]\n\n')
    response.once('close', () => this.#onAbort())
  }
}

describe.skipIf(!hasPython)('switchyard chat on a terminal', { timeout: 30_000 }, () => {
  let server: Echo
  let url: string
  let terminal: Terminal

  beforeEach(async () => {
    server = new Echo()
    url = await server.listen()
    terminal = new Terminal(['chat', '--url', url])
    await terminal.until('> ')
  })
  afterEach(() => {
    terminal.close()
    server.close()
  })

  it('edits the line and brings earlier ones back', async () => {
    terminal.type(`hallo${backspace}${backspace}${backspace}llo${arrowLeft.repeat(3)}${backspace}e\r`)
    await terminal.until('HELLO')
    await terminal.until('> ')
    terminal.type(`${arrowUp}!\r`)
    await terminal.until('HELLO!')
    await terminal.until('> ')
    expect(server.conversations.map((contents) => contents.at(-1))).toEqual(['hello', 'hello!'])
  })

  it('puts what is pasted where the cursor is', async () => {
    terminal.type('a b')
    await terminal.until('a b')
    terminal.type(arrowLeft)
    await terminal.until('\u001b[1D')
    terminal.type('pasted ')
    await terminal.until('b')
    terminal.type('\r')
    await terminal.until('A PASTED B')
  })

  it('forgets the conversation at /reset', async () => {
    for (const line of ['one', '/reset', 'two']) {
      terminal.type(`${line}\r`)
      await terminal.until('> ')
    }
    expect(server.conversations).toEqual([['one'], ['two']])
  })

  it('stops an answer at Ctrl-C, keeps what came, and goes on', async () => {
    terminal.type('wait\r')
    await terminal.until('WAIT')
    terminal.type(ctrlC)
    await server.aborted
    await terminal.until('stopped')
    await terminal.until('> ')
    terminal.type('more\r')
    await terminal.until('MORE')
    expect(server.conversations.at(-1)).toEqual(['wait', 'WAIT', 'more'])
  })

  it('wipes the line at Ctrl-C, and leaves at the second one', async () => {
    terminal.type('never sent')
    await terminal.until('never sent')
    terminal.type(ctrlC)
    await terminal.until('Ctrl-C again or /exit leaves.')
    await terminal.until('> ')
    terminal.type(ctrlC)
    expect(await terminal.exit).toEqual([0, null])
    expect(server.conversations).toEqual([])
  })

  it('stays when something was typed between two Ctrl-C', async () => {
    terminal.type(ctrlC)
    await terminal.until('leaves.')
    await terminal.until('> ')
    terminal.type('still here\r')
    await terminal.until('STILL HERE')
    await terminal.until('> ')
    terminal.type(ctrlC)
    await terminal.until('leaves.')
    await terminal.until('> ')
    terminal.type(ctrlD)
    expect(await terminal.exit).toEqual([0, null])
  })

  it('leaves at Ctrl-D on an empty line', async () => {
    terminal.type(ctrlD)
    expect(await terminal.exit).toEqual([0, null])
  })

  it('leaves at /exit', async () => {
    terminal.type('/exit\r')
    expect(await terminal.exit).toEqual([0, null])
  })
})
