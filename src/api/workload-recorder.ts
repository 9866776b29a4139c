/**
 * Records the shapes of requests, for replay: when they came, how long they were, whose, and which blocks of their
 * prompts were equal. Texts, tokens and names are not recorded: of blocks and names it keeps salted hashes, and the
 * salt dies with the recorder.
 */
import { createHash, randomBytes, type Hash } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream, type WriteStream } from 'node:fs'
import { reasonOf, ServingError } from '../core/errors.ts'
import { micros, type Micros } from '../core/units.ts'
import type { GenerationRequest } from '../core/request.ts'
import { mooncakeLine, type MooncakeRow } from '../workload/mooncake-writer.ts'

/** Tokens that one hash stands for. */
const recordedBlockSize = 64

type Recorded = Pick<
  GenerationRequest,
  'promptTokens' | 'tenant' | 'program' | 'serviceClass' | 'arrivedAt'
> & {
  /** A tool's result stands at the end of the prompt: the gap before it was no person's. */
  readonly followsTool: boolean
}

/** One request under way. */
export interface Recording {
  append(tokenIds: readonly number[]): void
  /** The answer has ended, however it did. One without a token leaves no row. */
  end(at: Micros): void
}

/** The last turn of a program: how many tokens, their hash, and when it ended. */
interface Turn {
  readonly numTokens: number
  readonly digest: string
  readonly endedAt: Micros
}

/** Programs whose last turn is remembered. */
const maxPrograms = 10_000

export class WorkloadRecorder {
  readonly #write: (line: string) => void
  readonly #salt: Buffer
  readonly #startedAt: Micros
  readonly #turns = new Map<string, Turn>()
  /** In order of arrival; rows wait for those before them. Undefined: still under way. */
  readonly #rows: { line: string | undefined }[] = []

  constructor(write: (line: string) => void, startedAt: Micros, salt: Buffer = randomBytes(32)) {
    this.#write = write
    this.#startedAt = startedAt
    this.#salt = salt
  }

  begin(request: Recorded): Recording {
    const row: { line: string | undefined } = { line: undefined }
    this.#rows.push(row)
    const fields = this.#fields(request)
    const history = request.program === undefined ? undefined : hashTokens(this.#hash(), request.promptTokens)
    let numTokens = 0
    return {
      append: (tokenIds) => {
        numTokens += tokenIds.length
        if (history !== undefined) hashTokens(history, tokenIds)
      },
      end: (at) => {
        if (row.line !== undefined) return
        row.line = numTokens === 0 ? '' : mooncakeLine({ ...fields, output_length: numTokens })
        if (history !== undefined && numTokens > 0) {
          const total = request.promptTokens.length + numTokens
          this.#remember(request, { numTokens: total, digest: history.digest('base64'), endedAt: at })
        }
        this.#flush()
      },
    }
  }

  #flush(): void {
    while (this.#rows[0]?.line !== undefined) this.#write(this.#rows.shift()!.line!)
  }

  #fields(request: Recorded): MooncakeRow {
    const { promptTokens, tenant, program, serviceClass, arrivedAt } = request
    return {
      timestamp: (arrivedAt - this.#startedAt) / 1000,
      input_length: promptTokens.length,
      output_length: 0,
      hash_ids: this.#blocks(promptTokens),
      block_size: recordedBlockSize,
      ...(tenant === 'default' ? {} : { tenant: this.#name('tenant', tenant) }),
      ...(program === undefined ? {} : { session_id: this.#programName(request) }),
      ...this.#sinceLastTurn(request),
      ...(serviceClass === 'default' ? {} : { service_class: serviceClass as never }),
    }
  }

  #sinceLastTurn(request: Recorded): Pick<MooncakeRow, 'delay' | 'gap_kind' | 'includes_answer'> {
    const last = this.#turns.get(this.#programName(request))
    if (request.program === undefined || last === undefined) return {}
    const { promptTokens, arrivedAt, followsTool } = request
    const includesAnswer =
      promptTokens.length > last.numTokens &&
      hashTokens(this.#hash(), promptTokens.slice(0, last.numTokens)).digest('base64') === last.digest
    return {
      delay: Math.max(0, arrivedAt - last.endedAt) / 1000,
      gap_kind: followsTool ? 'tool' : 'think',
      ...(includesAnswer ? { includes_answer: true } : {}),
    }
  }

  #remember(request: Recorded, turn: Turn): void {
    const name = this.#programName(request)
    this.#turns.delete(name)
    this.#turns.set(name, turn)
    if (this.#turns.size > maxPrograms) this.#turns.delete(this.#turns.keys().next().value!)
  }

  /** Of each block its content and all before it; of the last one as much as there is. 53 bits, exact in JSON. */
  #blocks(tokens: readonly number[]): number[] {
    const ids: number[] = []
    let before = this.#salt
    for (let start = 0; start < tokens.length; start += recordedBlockSize) {
      const hash = this.#hash().update(before)
      before = hashTokens(hash, tokens.slice(start, start + recordedBlockSize)).digest()
      ids.push(Number(before.readBigUInt64LE() >> 11n))
    }
    return ids
  }

  #programName({ tenant, program }: Recorded): string {
    return this.#name('session', `${tenant.length}:${tenant}${program}`)
  }

  #name(kind: string, name: string): string {
    return `${kind}-${this.#hash().update(kind).update(name).digest('hex').slice(0, 12)}`
  }

  #hash(): Hash {
    return createHash('sha256').update(this.#salt)
  }
}

function hashTokens(hash: Hash, tokens: readonly number[]): Hash {
  return hash.update(Int32Array.from(tokens))
}

export interface RecordingFile {
  readonly recorder: WorkloadRecorder
  /** Rows of requests that have not ended are lost. */
  close(): Promise<void>
}

/**
 * A recorder that writes JSON lines to a new file.
 * @throws {ServingError} INVALID_CONFIG when the file is there already or cannot be made.
 */
export async function openRecordingFile(path: string, startedAt: Micros): Promise<RecordingFile> {
  const file = createWriteStream(path, { flags: 'wx' })
  try {
    await once(file, 'open')
  } catch (cause) {
    const isThere = cause instanceof Error && 'code' in cause && cause.code === 'EEXIST'
    const reason = isThere
      ? 'is there already; recordings overwrite nothing'
      : `cannot be written (${reasonOf(cause)})`
    throw new ServingError('INVALID_CONFIG', `--record: ${path} ${reason}.`, { cause })
  }
  return recordTo(file, path, startedAt)
}

function recordTo(file: WriteStream, path: string, startedAt: Micros): RecordingFile {
  let failure: unknown
  // A full disk ends the recording, not the server.
  file.on('error', (error) => {
    if (failure === undefined) process.stderr.write(`Recording to ${path} ended: ${String(error)}\n`)
    failure = error
  })
  const write = (line: string): void => {
    if (failure === undefined && line !== '') file.write(line)
  }
  return {
    recorder: new WorkloadRecorder(write, micros(startedAt)),
    close: () =>
      new Promise((resolve) => {
        if (failure === undefined) file.end(() => resolve())
        else resolve()
      }),
  }
}
