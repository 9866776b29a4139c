import { reasonOf, ServingError } from '../core/errors.ts'
import { generateWorkload, generatorNames, parseGeneratorCall } from '../workload/generators/index.ts'
import { sliceWorkload } from '../workload/transforms/index.ts'
import { readTrace, type TraceOptions, type TraceReading } from './trace-files.ts'

/** What `loadWorkload` takes, for help texts. */
export const workloadSources = `a trace file, or a generator: ${generatorNames.join(', ')}`

/**
 * A workload by the name of a trace file, or by a generator with its parameters (`agents:programs=50,turns=8`). A
 * file whose name begins like a generator's is meant when it is written with its folder (`./agents`).
 * @throws {ServingError} INVALID_WORKLOAD
 */
export async function loadWorkload(source: string, options: TraceOptions = {}): Promise<TraceReading> {
  const call = parseGeneratorCall(source)
  if (call === undefined) return readTrace(source, options).catch((error) => explain(error, source))
  const workload = generateWorkload(call.name, call.given, options.seed ?? 0)
  const { slice } = options
  return {
    workload: slice === undefined ? workload : sliceWorkload(workload, slice),
    numFaults: 0,
    faults: [],
  }
}

/** What is no file may have been meant for a generator. */
function explain(error: unknown, source: string): never {
  const isNoFile = error instanceof ServingError && reasonOf(error.cause) === 'ENOENT'
  if (!isNoFile || !/^[\w-]+(:.*)?$/.test(source)) throw error
  const [name = ''] = source.split(':')
  const message = `There is no file ${source}, and no generator "${name}"; generators are ${generatorNames.join(', ')}.`
  throw new ServingError('INVALID_WORKLOAD', message, { cause: error })
}
