/** The engine's process dies in every way we could think of; nobody who is not to blame may notice more than a pause. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { RandomStream } from '../../src/core/random.ts'
import { toRequestId } from '../../src/core/units.ts'
import { ChildProcessClient } from '../../src/engine/child-process-client.ts'
import type { EngineOptions } from '../../src/engine/engine-options.ts'
import { InProcessClient } from '../../src/engine/in-process-client.ts'
import { systemClock } from '../../src/engine/system-clock.ts'
import type { FakeExecutorOptions } from '../../src/executor/fake-executor.ts'
import { generate, type Generated } from '../support/generate.ts'

const optionsWith = (changes: Partial<FakeExecutorOptions> = {}): EngineOptions => ({
  executor: { kind: 'fake', vocabSize: 50, maxModelLen: 400, blockSize: 4, numBlocks: 256, ...changes },
  scheduler: { maxNumSeqs: 8, maxNumBatchedTokens: 64, maxTbtMs: undefined, policy: 'fcfs' },
})

/** Ends texts, and is never generated unless `endProbability` says so: safe to mark prompts with. */
const marker = 49

let engine: ChildProcessClient | undefined
afterEach(() => engine?.close())

function start(changes?: Partial<FakeExecutorOptions>): ChildProcessClient {
  engine = new ChildProcessClient(optionsWith(changes))
  return engine
}

interface Ask {
  readonly id: string
  readonly promptTokens: readonly number[]
  readonly maxTokens: number
}

const asks = (count: number, maxTokens: number): Ask[] =>
  Array.from({ length: count }, (_, index) => ({ id: `r${index}`, promptTokens: [index % 49, 7], maxTokens }))

async function undisturbed(requests: readonly Ask[]): Promise<number[][]> {
  const quiet = new InProcessClient(optionsWith())
  const results = await Promise.all(requests.map((request) => generate(quiet, request)))
  await quiet.close()
  return results.map(({ tokens }) => tokens)
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

async function untilGone(pid: number): Promise<void> {
  while (isAlive(pid)) await setTimeout(10)
}

async function kill(client: ChildProcessClient): Promise<void> {
  process.kill((await client.ready()).pid, 'SIGKILL')
}

/** Submits one request and resolves when it has so many tokens; `result` is how it ends. */
async function begin(
  client: ChildProcessClient,
  ask: Ask,
  numTokens: number,
): Promise<{ result: Promise<Generated> }> {
  let result: Promise<Generated> | undefined
  await new Promise<void>((resolve) => {
    result = generate(client, ask, (count) => {
      if (count === numTokens) resolve()
    })
  })
  return { result: result! }
}

describe('an engine that is killed', () => {
  it('goes on again and again, with the answers that it would have given', async () => {
    // Far enough between two deaths that whoever lives through one is cleared of it, however late the signal comes.
    const tokensBetween = 40
    const requests = asks(20, 300)
    const client = start({ stepMicros: 1000 })
    let numKills = 0
    let nextKill = tokensBetween
    const results = await Promise.all(
      requests.map((request) =>
        generate(client, request, (count) => {
          if (request.id !== 'r0' || count !== nextKill) return
          nextKill += tokensBetween
          numKills += 1
          void kill(client)
        }),
      ),
    )
    expect(numKills).toBe(7)
    expect(results.map(({ tokens }) => tokens)).toEqual(await undisturbed(requests))
    expect(client.numUnfinished).toBe(0)
  })

  it('keeps the instants from before its death, and counts on', async () => {
    const client = start({ stepMicros: 1000 })
    const steps: number[] = []
    client.onStep(({ step }) => steps.push(step))
    const deaths: string[] = []
    client.onCrash((how) => deaths.push(how))
    const { result } = await begin(client, { id: 'r', promptTokens: [1], maxTokens: 60 }, 20)
    const diedAt = systemClock.now()
    await kill(client)
    const { timings } = (await result).finish
    expect(deaths).toEqual(['SIGKILL'])
    expect(timings.firstScheduledAt).toBeLessThan(diedAt)
    expect(timings.firstTokenAt).toBeLessThan(diedAt)
    expect(timings.finishedAt).toBeGreaterThan(diedAt)
    expect(steps.length).toBeGreaterThanOrEqual(60)
    expect(steps).toEqual(steps.toSorted((a, b) => a - b))
    expect(new Set(steps).size).toBe(steps.length)
  })

  it('ends at once, as cancelled, what is cancelled while it is away', async () => {
    const client = start({ stepMicros: 1000 })
    const { result } = await begin(client, { id: 'r', promptTokens: [1], maxTokens: 300 }, 5)
    await kill(client)
    while (client.status.state === 'ready') await setTimeout(1)
    client.cancel(toRequestId('r'))
    expect((await result).finish.reason).toBe('cancelled')
    expect(client.status.state).toBe('restarting')
    await client.ready()
    expect(client.numUnfinished).toBe(0)
  })

  it('fails everybody, and says why, when its model has vanished', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'switchyard-vanish-'))
    const modelPath = join(folder, 'model.gguf')
    writeFileSync(modelPath, 'weights')
    const client = start({ stepMicros: 1000, modelPath })
    const { result } = await begin(client, { id: 'r', promptTokens: [1], maxTokens: 300 }, 5)
    rmSync(folder, { recursive: true })
    await kill(client)
    const { error } = (await result).finish
    expect(error?.code).toBe('ENGINE_FAILED')
    expect(error?.message).toContain(`${modelPath} does not exist`)
    expect(client.status.state).toBe('failed')
    expect(client.numUnfinished).toBe(0)
  })
})

describe('a request that kills the engine', () => {
  it('fails alone, whoever was in its batch', async () => {
    const innocent = asks(16, 60)
    const client = start({ lethalToken: marker, stepMicros: 300 })
    const guilty = [1, 2].map((token) => generate(client, { id: `g${token}`, promptTokens: [token, marker] }))
    const results = await Promise.all(innocent.map((request) => generate(client, request)))
    for (const { finish } of await Promise.all(guilty)) expect(finish.error?.code).toBe('ENGINE_FAILED')
    expect(results.map(({ tokens }) => tokens)).toEqual(await undisturbed(innocent))
    expect(client.numUnfinished).toBe(0)
  })

  it('fails with what it had, when the crash comes in the middle of its answer', async () => {
    const requests = asks(16, 12)
    const lethalToken = 20
    const quiet = await undisturbed(requests)
    const client = start({ lethalToken })
    const results = await Promise.all(requests.map((request) => generate(client, request)))
    // A token kills when it is computed: the last one never is.
    const isGuilty = (index: number): boolean =>
      requests[index]!.promptTokens.includes(lethalToken) || quiet[index]!.slice(0, -1).includes(lethalToken)
    expect(results.filter((_, index) => isGuilty(index)).length).toBeGreaterThan(1)
    expect(results.filter((_, index) => !isGuilty(index)).length).toBeGreaterThan(1)
    for (const [index, { finish, tokens }] of results.entries()) {
      expect(finish.error?.code).toBe(isGuilty(index) ? 'ENGINE_FAILED' : undefined)
      expect(tokens).toEqual(quiet[index]!.slice(0, tokens.length))
      if (!isGuilty(index)) expect(tokens).toEqual(quiet[index])
    }
  })

  it('fails when it was alone, and the next one is served', async () => {
    const client = start({ lethalToken: marker })
    const { pid } = await client.ready()
    const { finish } = await generate(client, { id: 'g', promptTokens: [marker] })
    expect(finish.error?.message).toContain('SIGKILL')
    expect((await client.ready()).pid).not.toBe(pid)
    const { tokens } = await generate(client, { id: 'next', promptTokens: [1], maxTokens: 5 })
    expect(tokens).toHaveLength(5)
  })

  it('fails alone when its step breaks without killing the process', async () => {
    const requests = asks(8, 30)
    const client = start({ brokenToken: marker, stepMicros: 300 })
    const guilty = generate(client, { id: 'g', promptTokens: [marker] })
    const results = await Promise.all(requests.map((request) => generate(client, request)))
    expect((await guilty).finish.error?.code).toBe('ENGINE_FAILED')
    expect(results.map(({ tokens }) => tokens)).toEqual(await undisturbed(requests))
  })
})

describe('the process of an engine', () => {
  it('leaves Ctrl-C and a stop of the whole group to its parent', async () => {
    const client = start()
    const { pid } = await client.ready()
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(pid, signal)
    await generate(client, { id: 'r', promptTokens: [1], maxTokens: 50 })
    expect((await client.ready()).pid).toBe(pid)
  })

  it('leaves when its parent is killed', async () => {
    const parent = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', parentSource()], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [line] = (await once(createInterface(parent.stdout), 'line')) as [string]
    expect(isAlive(Number(line))).toBe(true)
    parent.kill('SIGKILL')
    await untilGone(Number(line))
  })

  it('is gone when the engine was closed: idle, busy, loading or restarting', async () => {
    const idle = start()
    const idlePid = (await idle.ready()).pid
    await idle.close()
    expect(isAlive(idlePid)).toBe(false)

    const busy = start({ stepMicros: 1000 })
    const { result } = await begin(busy, { id: 'r', promptTokens: [1], maxTokens: 300 }, 5)
    const busyPid = (await busy.ready()).pid
    await busy.close()
    expect(isAlive(busyPid)).toBe(false)
    expect((await result).finish.reason).toBe('error')

    await start().close()

    const restarting = start()
    const { pid } = await restarting.ready()
    await kill(restarting)
    while (restarting.status.state === 'ready') await setTimeout(1)
    await restarting.close()
    expect(isAlive(pid)).toBe(false)
    expect(process.getActiveResourcesInfo()).not.toContain('ProcessWrap')
  })

  it('keeps nothing of ten thousand requests, of which many were cancelled', async () => {
    const client = start({ endProbability: 0.2 })
    const random = new RandomStream(7)
    let numCancelled = 0
    const runs = Array.from({ length: 10_000 }, async (_, index) => {
      const id = `n${index}`
      const cancelAt = random.below(4) === 0 ? random.below(6) : undefined
      const ended = generate(client, { id, promptTokens: [random.below(49)], maxTokens: 8 }, (count) => {
        if (count === cancelAt) client.cancel(toRequestId(id))
      })
      if (cancelAt === 0) client.cancel(toRequestId(id))
      const { finish } = await ended
      if (finish.reason === 'cancelled') numCancelled += 1
      expect(finish.error).toBeUndefined()
    })
    await Promise.all(runs)
    expect(numCancelled).toBeGreaterThan(500)
    expect(client.numUnfinished).toBe(0)
    expect(client.stats).toMatchObject({ numRunning: 0, numWaiting: 0, numFreeBlocks: 256 })
  })
})

/** A program with an engine, which prints the pid of that and waits. */
function parentSource(): string {
  const client = JSON.stringify(new URL('../../src/engine/child-process-client.ts', import.meta.url).href)
  return `
    const { ChildProcessClient } = await import(${client})
    const engine = new ChildProcessClient(${JSON.stringify(optionsWith())})
    console.log((await engine.ready()).pid)`
}
