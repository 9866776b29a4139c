import { describe, expect, it } from 'vitest'
import { fixture, readText } from '../../../test/support/workloads.ts'
import { checkWorkload } from '../check-workload.ts'
import { guessFormat, traceFormatNames } from './index.ts'
import { parseTimestamp } from './timestamp.ts'

const files = {
  mooncake: 'mooncake.jsonl',
  azure: 'azure-2023.csv',
  burstgpt: 'burstgpt.csv',
  sharegpt: 'sharegpt.json',
  'tau-bench': 'tau-bench.json',
  'agent-sessions': 'agent-sessions.jsonl',
  'vtc-arena': 'vtc-arena.csv',
} as const

const shapes = (text: ReturnType<typeof readText>['workload']) =>
  text.requests.map(({ numPromptTokens, numOutputTokens }) => [numPromptTokens, numOutputTokens])

describe('formats', () => {
  it.each(Object.entries(files))('%s is recognised, and reads to a workload that is sound', (name, file) => {
    const text = fixture(file)
    const format = guessFormat(file, text.slice(0, 4096))
    expect(format).toBe(name)
    const { workload } = readText(format!, text)
    expect(workload.requests.length).toBeGreaterThan(0)
    expect(checkWorkload(workload)).toBeUndefined()
  })

  it('are not guessed from just any text', () => {
    expect(guessFormat('notes.txt', 'Dear diary, {today} 1,2,3')).toBeUndefined()
  })

  it.each(traceFormatNames)('%s survives records that are broken, and names them', (name) => {
    const text = '{"requests": [1]}\n\u0000,"\n{"input_length": -1}\n[[[\n{"conversations": [{}]}\n'
    const { workload, collector } = readText(name, text)
    expect(workload.requests).toEqual([])
    expect(collector.numFaults).toBeGreaterThan(0)
    expect(collector.faults[0]!.line).toBe(1)
  })
})

describe('Azure', () => {
  it('counts arrivals from the first row, over midnight and in 100 ns digits', () => {
    const { workload } = readText('azure', fixture('azure-2023.csv'))
    expect(workload.requests.map(({ arrival }) => arrival)).toEqual([0, 750_000, 1_623_457])
    expect(shapes(workload)).toEqual([
      [374, 44],
      [396, 109],
      [879, 55],
    ])
  })

  it('of 2024 has offsets from UTC', () => {
    const { workload } = readText('azure', fixture('azure-2024.csv'))
    expect(workload.requests.map(({ arrival }) => arrival)).toEqual([0, 7405, 500_000])
  })

  it('names bad rows by line, and reads on', () => {
    const text =
      'TIMESTAMP,ContextTokens,GeneratedTokens\nsoon,1,1\n2023-11-16 18:17:03,5,x\n2023-11-16 18:17:03,5\n'
    const { collector } = readText('azure', `${text}2023-11-16 18:17:04,5,6\n`)
    expect(collector.faults).toEqual([
      { line: 2, message: '"soon" is no timestamp' },
      { line: 3, message: '"x" is no length of an answer in tokens' },
      { line: 4, message: '2 fields where the header has 3' },
    ])
    expect(collector.isEmpty).toBe(false)
  })

  it('says which columns are missing', () => {
    const { collector } = readText('azure', 'TIMESTAMP,ContextTokens\n')
    expect(collector.faults[0]!.message).toBe('no column "GeneratedTokens" in the header')
  })

  it('agrees with the calendar of the platform on every day of 400 years', () => {
    for (let day = -719_000; day < 150_000; day += 97) {
      const text = new Date(day * 86_400_000).toISOString()
      expect(parseTimestamp(text)?.seconds).toBe(day * 86_400)
    }
    expect(parseTimestamp('2023-13-01 00:00:00')).toBeUndefined()
  })
})

describe('Mooncake', () => {
  it('keeps times, lengths and ids', () => {
    const { workload } = readText('mooncake', fixture('mooncake.jsonl'))
    expect(workload.blockSize).toBe(512)
    expect(workload.requests.map(({ arrival, blocks }) => [arrival, blocks])).toEqual([
      [0, [0, 1, 2]],
      [0, [0, 3]],
      [3_000_000, [0, 1, 4]],
    ])
  })

  it('gives blocks without an id new content, and long or textual ids a number', () => {
    const row = (ids: string) => `{"input_length": 1200, "output_length": 1, "hash_ids": [${ids}]}\n`
    const text = row('7') + row('7, "a", "b"') + row('18446744073709551615, "a"') + row('1, 2, 3, 4')
    const { workload, collector } = readText('mooncake', text)
    const [one, two, three] = workload.requests.map(({ blocks }) => blocks)
    expect(one![0]).toBe(7)
    expect(new Set([...one!, ...two!, ...three!]).size).toBe(3 + 2 + 2)
    expect(two![1]).toBe(three![1])
    expect(collector.faults).toEqual([{ line: 4, message: '4 block ids for 1200 tokens' }])
  })
})

describe('BurstGPT', () => {
  it('makes sessions programs whose turns include the one before when they are long enough', () => {
    const { workload, collector } = readText('burstgpt', fixture('burstgpt.csv'))
    const session = workload.requests.filter(({ program }) => program === 's-1')
    expect(session.map(({ turn, gap, includesAnswer = false }) => [turn, gap, includesAnswer])).toEqual([
      [0, 0, false],
      [1, 12_500_000, true],
      [2, 17_000_000, false],
    ])
    expect(session.map(({ arrival }) => arrival)).toEqual([0, 12_500_000, 29_500_000])
    expect(workload.requests.map(({ tenant }) => tenant)).toContain('api-GPT-4')
    expect(collector.faults).toEqual([{ line: 5, message: 'a request that failed: no response tokens' }])
  })

  it('takes sessions that come back after too many others for new ones', async () => {
    const { Sessions } = await import('./programs.ts')
    const sessions = new Sessions(60)
    const { workload } = readText('mooncake', fixture('mooncake.jsonl'))
    const [request] = workload.requests
    sessions.remember('a', sessions.get('a'), request!, 1)
    sessions.remember('b', sessions.get('b'), request!, 2)
    expect(sessions.get('a')).toEqual({ program: 'a~1', last: undefined, endedAt: 0 })
    expect(sessions.get('b').program).toBe('b')
  })
})

describe('conversations', () => {
  it('are turns whose prompts are the text so far', () => {
    const { workload, collector } = readText('sharegpt', fixture('sharegpt.json'), {
      countTokens: (text) => text.length,
    })
    const [conversation] = JSON.parse(fixture('sharegpt.json')) as [{ conversations: { value: string }[] }]
    const [system, ask, answer, askAgain, answerAgain] = conversation.conversations.map(
      ({ value }) => value.length,
    ) as [number, number, number, number, number]
    const first = workload.requests.filter(({ program }) => program === 'conversation-0')
    expect(first.map(({ numPromptTokens, numOutputTokens }) => [numPromptTokens, numOutputTokens])).toEqual([
      [system + ask, answer],
      [system + ask + answer + askAgain, answerAgain],
    ])
    expect(first[1]!.includesAnswer).toBe(true)
    expect(collector.faults).toEqual([{ line: 12, message: 'a conversation without an answer to anything' }])
  })

  it('share their system prompt in whole blocks', () => {
    const { workload } = readText('sharegpt', fixture('sharegpt.json'), {
      countTokens: (text) => text.length,
    })
    const [one, other] = ['conversation-0', 'conversation-2'].map(
      (name) => workload.requests.find(({ program }) => program === name)!.blocks,
    )
    expect(one!.slice(0, 4)).toEqual(other!.slice(0, 4))
    expect(one![4]).not.toBe(other![4])
  })

  it('with tools have turns after tools and after people, and count the calls as text', () => {
    const { workload } = readText('tau-bench', fixture('tau-bench.json'), { thinkSeconds: 5 })
    expect(workload.requests.map(({ gapKind, gap }) => [gapKind, gap])).toEqual([
      [undefined, 0],
      ['tool', 0],
    ])
    expect(workload.requests[0]!.numOutputTokens).toBeGreaterThan(20)
  })
})

describe('agent sessions', () => {
  const { workload, collector } = readText('agent-sessions', fixture('agent-sessions.jsonl'))
  const of = (name: string) => workload.requests.filter(({ program }) => program === name)

  it('keep turns, gaps and their kinds', () => {
    expect(collector.numFaults).toBe(0)
    expect(of('s1').map(({ gap, gapKind }) => [gap, gapKind])).toEqual([
      [0, undefined],
      [3_500_000, 'tool'],
      [60_000_000, 'think'],
    ])
  })

  it('include the answer before where the blocks say that the history has grown', () => {
    expect(of('s1').map(({ includesAnswer }) => includesAnswer ?? false)).toEqual([false, true, false])
    const [first, second, third] = of('s1').map(({ blocks }) => blocks)
    expect(second!.slice(0, 3)).toEqual(first)
    expect(third![0]).toBe(first![0])
    expect(third![1]).not.toBe(first![1])
  })

  it('do not share ids with other sessions', () => {
    expect(of('s2')[0]!.blocks[0]).not.toBe(of('s1')[0]!.blocks[0])
  })

  it('have sub-agents as programs that come after the turn before them', () => {
    const agent = of('s1/agent_001')
    expect(agent.map(({ tenant, turn, numOutputTokens }) => [tenant, turn, numOutputTokens])).toEqual([
      ['s1', 0, 12],
      ['s1', 1, 1],
    ])
    expect(agent[0]!.after).toEqual({ program: 's1', turn: 1 })
    expect(agent[0]!.arrival).toBe(of('s1')[1]!.arrival)
  })

  it('start at the rate that was asked for', () => {
    const session = fixture('agent-sessions.jsonl').split('\n')[1]!
    const text = Array.from({ length: 2000 }, (_, index) => session.replace('s2', `x${index}`)).join('\n')
    const { workload: many } = readText('agent-sessions', text, { sessionsPerSecond: 4, seed: 3 })
    expect(2000 / (many.requests.at(-1)!.arrival / 1e6)).toBeCloseTo(4, 0)
  })
})
