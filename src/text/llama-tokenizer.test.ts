import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { openLibraries } from '../ggml/library.ts'
import { LlamaModel } from '../ggml/llama.ts'
import { createChatTemplate, encodePrompt } from './chat-template.ts'
import { IncrementalDetokenizer } from './incremental-detokenizer.ts'
import { LlamaTokenizer, openLlamaTokenizer } from './llama-tokenizer.ts'

const bundled = fileURLToPath(new URL('../../models/yardling/yardling-q8_0.gguf', import.meta.url))
const plain = { addSpecial: false, parseSpecial: false }
const special = { addSpecial: false, parseSpecial: true }

describe('LlamaTokenizer with the bundled model', () => {
  let tokenizer: LlamaTokenizer

  beforeAll(() => {
    tokenizer = openLlamaTokenizer(bundled)
  })
  afterAll(() => tokenizer.close())

  it('knows the vocabulary, its special tokens and its template', () => {
    expect(tokenizer.vocabSize).toBe(2048)
    expect(tokenizer.eosText).toBe('<|im_end|>')
    expect(tokenizer.bosText).toBe('<|endoftext|>')
    expect(tokenizer.endTokenIds).toEqual([2045, 2047])
    expect(tokenizer.chatTemplate).toContain('<tool_call>')
  })

  it('reads special tokens as one token only when told to', () => {
    const [token, ...others] = tokenizer.encode('<|im_end|>', special)
    expect([token, others]).toEqual([2047, []])
    expect(tokenizer.encode('<|im_end|>', plain).length).toBeGreaterThan(1)
  })

  it('gives back any text from its tokens', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        expect(tokenizer.decode(tokenizer.encode(text, plain))).toBe(text)
      }),
    )
  })

  it('streams the same text as it decodes at once', () => {
    const text = 'Grüße, 世界! 👩‍👩‍👧 naïve — \u0000 “quoted” ✓'
    const tokens = tokenizer.encode(text, plain)
    const detokenizer = new IncrementalDetokenizer(tokenizer)
    const streamed = tokens.map((token) => detokenizer.push(token)).join('') + detokenizer.flush()
    expect(streamed).toBe(text)
    expect(tokens.length).toBeGreaterThan([...text].length)
  })

  it('leaves special tokens out of text unless asked for', () => {
    expect(tokenizer.pieceBytes(2047)).toHaveLength(0)
    expect(tokenizer.decode([2047])).toBe('')
    expect(tokenizer.decode([2047], true)).toBe('<|im_end|>')
  })

  it('encodes a conversation with every special token in its place', () => {
    const template = createChatTemplate(tokenizer.chatTemplate, tokenizer)
    const prompt = template.render(
      [
        { role: 'system', content: 'You are Yardling.' },
        { role: 'user', content: 'Count from 1 to 3.' },
        { role: 'assistant', content: '1, 2, 3' },
        { role: 'user', content: 'Again.' },
      ],
      { addGenerationPrompt: true },
    )
    const tokens = encodePrompt(tokenizer, prompt)
    expect(tokenizer.decode(tokens, true)).toBe(prompt)
    expect(tokens.filter((token) => token === 2046)).toHaveLength(5)
    expect(tokens.filter((token) => token === 2047)).toHaveLength(4)
  })

  it('refuses token ids outside the vocabulary', () => {
    for (const token of [-1, 2048, 0.5, Number.NaN]) {
      expect(() => tokenizer.decode([token])).toThrow(expect.objectContaining({ code: 'INVALID_REQUEST' }))
    }
  })

  it('takes time in proportion to the text, special tokens or not', () => {
    const turn = '<|im_start|>user\nhi<|im_end|>\n'
    const fastest = (turns: number): number =>
      Math.min(
        ...[1, 2, 3].map(() => {
          const start = performance.now()
          tokenizer.encode(turn.repeat(turns), special)
          return performance.now() - start
        }),
      )
    // Sixteen times the text; the square would be 256 times the time.
    const short = fastest(1000)
    expect(fastest(16_000)).toBeLessThan(short * 100)
  })
})

describe('LlamaTokenizer with a pre-tokenizer that recurses', () => {
  it('survives runs of characters longer than the stack would allow', () => {
    const dir = mkdtempSync(join(tmpdir(), 'switchyard-tokenizer-'))
    const bytes = readFileSync(bundled)
    // Same length, other rules: libllama runs those of "bloom" with std::regex.
    const place = bytes.indexOf('gpt-2', bytes.indexOf('tokenizer.ggml.pre'))
    bytes.write('bloom', place)
    const path = join(dir, 'bloom.gguf')
    writeFileSync(path, bytes)
    const tokenizer = openLlamaTokenizer(path)
    for (const text of ['a'.repeat(100_000), 'é'.repeat(50_000), '!'.repeat(100_000), '\n'.repeat(100_000)]) {
      expect(tokenizer.decode(tokenizer.encode(text, special))).toBe(text)
    }
    tokenizer.close()
    rmSync(dir, { recursive: true })
  })
})

describe('openLlamaTokenizer', () => {
  it('says which file it cannot read', () => {
    expect(() => openLlamaTokenizer('/nowhere/model.gguf')).toThrow(/no model file \/nowhere\/model.gguf/)
    expect(() => openLlamaTokenizer(fileURLToPath(import.meta.url))).toThrow(
      expect.objectContaining({ code: 'INVALID_MODEL' }),
    )
  })
})

// An optional folder of vocabularies: `name.gguf` with texts in `name.gguf.inp` and their tokens in `name.gguf.out`.
const folder = process.env['SWITCHYARD_VOCAB_DIR'] ?? ''
const names =
  folder !== '' && existsSync(folder)
    ? readdirSync(folder).filter((name) => name.endsWith('.gguf') && existsSync(join(folder, `${name}.inp`)))
    : []

describe.skipIf(names.length === 0)(
  'real vocabularies (skipped unless SWITCHYARD_VOCAB_DIR has some)',
  () => {
    describe.each(names.length === 0 ? ['none'] : names)('%s', (name) => {
      let model: LlamaModel
      let tokenizer: LlamaTokenizer
      let texts: string[]

      beforeAll(() => {
        model = new LlamaModel(openLibraries({ device: 'auto' }), join(folder, name), { vocabOnly: true })
        tokenizer = new LlamaTokenizer(model)
        texts = readFileSync(join(folder, `${name}.inp`), 'utf8').split('\n__ggml_vocab_test__\n')
      })
      afterAll(() => tokenizer.close())

      it('tokenises every sample as the reference does', () => {
        const expected = readFileSync(join(folder, `${name}.out`), 'utf8').split('\n')
        expect(texts.length).toBeGreaterThan(40)
        for (const [index, text] of texts.entries()) {
          expect(tokenizer.encode(text, plain).join(' '), JSON.stringify(text)).toBe(
            (expected[index] ?? '').trim(),
          )
        }
      })

      it('streams every sample back', () => {
        for (const text of texts) {
          const tokens = tokenizer.encode(text, plain)
          const detokenizer = new IncrementalDetokenizer(tokenizer)
          const streamed = tokens.map((token) => detokenizer.push(token)).join('') + detokenizer.flush()
          // SentencePiece vocabularies put a space in front of a text.
          expect([text, ` ${text}`]).toContain(streamed)
          expect(tokenizer.decode(tokens)).toBe(streamed)
        }
      })

      it('tokenises long texts as libllama does in one call', () => {
        const paragraph = `${texts.join('\n')}\nThe quick brown fox, 12345 times; naïve façade — 你好世界!\n`
        const turns = `${tokenizer.eosText}${tokenizer.bosText}user\n${paragraph.slice(0, 700)}  ${tokenizer.eosText}\n`
        for (const text of [paragraph.repeat(20), turns.repeat(60)]) {
          for (const parseSpecial of [false, true]) {
            const whole = model.vocab.tokenize(Buffer.from(text), true, parseSpecial)
            expect(tokenizer.encode(text, { addSpecial: true, parseSpecial })).toEqual([...whole])
          }
        }
      })
    })
  },
)
