import multipart, { type MultipartFile } from '@fastify/multipart'
import { createReadStream } from 'node:fs'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { InvariantError, ServingError } from '../../core/errors.ts'
import type { FileWriter, StoredFile } from '../../storage/file-store.ts'
import type { ApiContext } from '../context.ts'
import { parseBody } from '../errors.ts'
import { expiresAfter, fileListQuery, filePurposes } from '../schemas/batches.ts'

interface ById {
  readonly Params: { readonly id: string }
}

export function files(app: FastifyInstance, context: ApiContext): void {
  const { batches: service } = context
  const find = async (request: FastifyRequest<ById>) => {
    const { store } = await service.open()
    const file = store.files.find(request.params.id, ownerOf(context, request))
    if (file !== undefined) return { store, file }
    throw new ServingError('NOT_FOUND', `There is no file '${request.params.id}'.`, { param: 'id' })
  }

  // In a scope of its own: other routes take no forms.
  void app.register(async (scope) => {
    const limits = { fileSize: service.config.maxFileBytes, files: 1, fields: 8, fieldSize: 1000, parts: 9 }
    await scope.register(multipart, { limits, throwFileSizeLimit: false })
    scope.post('/v1/files', async (request) => {
      const owner = ownerOf(context, request)
      return fileJson(await receive(context, request, owner))
    })
  })

  app.get('/v1/files', async (request) => {
    const { limit, purpose, ...page } = parseBody(fileListQuery, request.query)
    const { store } = await service.open()
    const list = store.files.list(ownerOf(context, request), purpose, {
      ...page,
      after: page.after,
      limit: limit + 1,
    })
    return listJson(list.map(fileJson), limit)
  })

  app.get<ById>('/v1/files/:id', async (request) => fileJson((await find(request)).file))

  app.get<ById>('/v1/files/:id/content', async (request, reply) => {
    const { store, file } = await find(request)
    return reply
      .type('application/octet-stream')
      .header('content-length', file.bytes)
      .send(createReadStream(store.files.path(file.id)))
  })

  app.delete<ById>('/v1/files/:id', async (request) => {
    const { store, file } = await find(request)
    if (store.batches.usesFile(file.id)) {
      throw new ServingError('INVALID_REQUEST', 'The file is the input of a batch that is not finished.')
    }
    store.files.remove(file.id)
    return { id: file.id, object: 'file', deleted: true }
  })
}

/** Who a file or a batch belongs to. Without keys there is nobody to keep apart: everybody sees all. */
export function ownerOf({ keys }: ApiContext, { headers }: Pick<FastifyRequest, 'headers'>): string {
  const key = keys.find(headers)
  return key === undefined ? '' : (key.name ?? '(shared key)')
}

/** One page of a list that was asked for one entry more. */
export function listJson<Entry extends { readonly id: string }>(entries: readonly Entry[], limit: number) {
  const data = entries.slice(0, limit)
  return {
    object: 'list',
    data,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    has_more: entries.length > limit,
  }
}

function fileJson({ id, bytes, createdAt, expiresAt, filename, purpose }: StoredFile) {
  return {
    id,
    object: 'file',
    bytes,
    created_at: createdAt,
    ...(expiresAt !== undefined && { expires_at: expiresAt }),
    filename,
    purpose,
    status: 'processed',
  }
}

/** Clients send the purpose before or behind the file. @throws {ServingError} INVALID_REQUEST, BODY_TOO_LARGE, STORAGE_FULL. */
async function receive(context: ApiContext, request: FastifyRequest, owner: string): Promise<StoredFile> {
  if (!request.isMultipart()) {
    throw new ServingError('UNSUPPORTED_MEDIA_TYPE', 'A file is sent as multipart/form-data.')
  }
  const { store } = await context.batches.open()
  let writer: FileWriter | undefined
  let filename = ''
  const fields: Record<string, unknown> = {}
  try {
    for await (const part of request.parts()) {
      if (part.type === 'field') {
        fields[part.fieldname] = part.value
      } else {
        filename = part.filename
        writer = await store.files.create({ owner, filename, purpose: '' })
        await copy(part, writer, context.batches.config.maxFileBytes)
      }
    }
    if (writer === undefined) throw invalid('file', 'A file is needed.')
    const purpose = filePurposes.find((each) => each === fields['purpose'])
    if (purpose === undefined) throw invalid('purpose', `expected one of ${filePurposes.join(', ')}`)
    const seconds = lifetimeIn(fields)
    const sealed = await writer.seal()
    const stored = { ...sealed, purpose, expiresAt: seconds && sealed.createdAt + seconds }
    store.files.add(stored)
    return stored
  } catch (error) {
    await writer?.discard()
    throw formError(error)
  }
}

/** Seconds. Clients send an object as a field for each of its own. @throws {ServingError} INVALID_REQUEST */
function lifetimeIn(fields: Readonly<Record<string, unknown>>): number | undefined {
  const [anchor, seconds] = [fields['expires_after[anchor]'], fields['expires_after[seconds]']]
  if (anchor === undefined && seconds === undefined) return undefined
  return parseBody(z.object({ expires_after: expiresAfter }), { expires_after: { anchor, seconds } })
    .expires_after.seconds
}

/** The parser of forms throws plain errors for forms that are none; what the system says is another matter. */
function formError(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof ServingError) return error
  if ('statusCode' in error || 'syscall' in error || error instanceof InvariantError) return error
  return new ServingError('INVALID_REQUEST', `The form cannot be read (${error.message}).`, { cause: error })
}

async function copy({ file, fieldname }: MultipartFile, writer: FileWriter, maxBytes: number): Promise<void> {
  if (fieldname !== 'file') throw invalid(fieldname, 'The file goes into the field "file".')
  for await (const piece of file) await writer.write(piece as Buffer)
  if (!file.truncated) return
  throw new ServingError('BODY_TOO_LARGE', `The file has more than the ${maxBytes} bytes that are accepted.`)
}

const invalid = (param: string, message: string) =>
  new ServingError('INVALID_REQUEST', `Invalid '${param}': ${message}`, { param })
