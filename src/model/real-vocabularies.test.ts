/** Reads real vocabularies where there are some: `SWITCHYARD_VOCAB_DIR` names a folder of GGUF files. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

import { openGguf } from './gguf-reader.ts'

const dir = process.env['SWITCHYARD_VOCAB_DIR']
const files = dir === undefined ? [] : readdirSync(dir).filter((name) => name.endsWith('.gguf'))

describe.skipIf(files.length === 0)(
  'real vocabularies (skipped unless SWITCHYARD_VOCAB_DIR has some)',
  () => {
    // Vitest wants at least one row, also of what it skips.
    it.each(files.length === 0 ? ['none'] : files)(
      '%s: the head is read quickly, and tokens are unique',
      (name) => {
        const start = performance.now()
        const gguf = openGguf(join(dir ?? '', name))
        expect(performance.now() - start).toBeLessThan(200)
        const tokens = gguf.getStrings('tokenizer.ggml.tokens')
        expect(tokens.length).toBe(gguf.getArray('tokenizer.ggml.token_type').count)
        // A few tokens are parts of UTF-8 characters and may read alike.
        expect(new Set(tokens).size).toBeGreaterThan(tokens.length * 0.99)
        gguf.close()
      },
    )
  },
)
