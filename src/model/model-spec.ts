/** A model file that was checked: an architecture we know, and every tensor it needs, in the shape it needs. */
import type { Architecture, TensorDeclaration } from './architectures/architecture.ts'
import { architectures } from './architectures/index.ts'
import type { GgufFile, GgufTensor } from './gguf-reader.ts'
import { oneLine } from './gguf-source.ts'
import { findTensorType, tensorTypeName, tensorTypes } from './gguf-types.ts'
import { readHyperparameters, type Hyperparameters } from './hyperparameters.ts'

export interface ModelSpec {
  readonly path: string
  readonly architecture: Architecture
  readonly hyperparameters: Hyperparameters
  /** All tensors of the file, each of which the architecture knows; in the order of the declarations. */
  readonly tensors: ReadonlyMap<string, GgufTensor>
}

const f32 = findTensorType('F32')

/** @throws {ServingError} INVALID_MODEL, naming the first thing that is wrong and how many more there are. */
export function checkModel(gguf: GgufFile): ModelSpec {
  const architecture = findArchitecture(gguf)
  const hyperparameters = readHyperparameters(gguf)
  const declarations = declareTensors(architecture, hyperparameters)

  const problems: string[] = []
  const tensors = new Map<string, GgufTensor>()
  for (const declaration of declarations) {
    const tensor = gguf.tensors.get(declaration.name)
    const problem = findProblem(declaration, tensor)
    if (problem !== undefined) problems.push(problem)
    if (tensor !== undefined) tensors.set(declaration.name, tensor)
  }
  for (const name of gguf.tensors.keys()) {
    // It would take part in the computation, and we would not know how.
    if (!tensors.has(name))
      problems.push(`${oneLine(name)}: no tensor of the architecture ${architecture.name}`)
  }
  if (problems.length > 0) gguf.refuse(summarise(problems))
  return { path: gguf.path, architecture, hyperparameters, tensors }
}

/** Everything the architecture may have in a file with these numbers. */
export function declareTensors(
  architecture: Architecture,
  hyperparameters: Hyperparameters,
): TensorDeclaration[] {
  const declarations = architecture.globalTensors(hyperparameters)
  for (let layer = 0; layer < hyperparameters.numLayers; layer++) {
    declarations.push(...architecture.layerTensors(hyperparameters, layer))
  }
  return declarations
}

function findArchitecture(gguf: GgufFile): Architecture {
  const name = gguf.getString('general.architecture')
  const architecture = architectures.get(name)
  if (architecture !== undefined) return architecture
  const known = [...architectures.keys()].join(', ')
  return gguf.refuse(`the architecture "${oneLine(name, 60)}" is not supported; supported are ${known}`)
}

function findProblem(declaration: TensorDeclaration, tensor: GgufTensor | undefined): string | undefined {
  const { name, shape, isOptional } = declaration
  if (tensor === undefined) return isOptional ? undefined : `${name}: missing, expected shape [${shape}]`
  if (tensor.shape.length !== shape.length || tensor.shape.some((size, index) => size !== shape[index])) {
    return `${name}: shape [${tensor.shape}] expected [${shape}]`
  }
  // ggml asserts on types it has no kernel for, and an assertion that fails ends the process.
  if (shape.length === 1 && tensor.type !== f32?.id) {
    return `${name}: type ${tensorTypeName(tensor.type)} expected F32`
  }
  if (tensorTypes.get(tensor.type)?.isWeight !== true) {
    return `${name}: type ${tensorTypeName(tensor.type)} cannot hold weights`
  }
  return undefined
}

function summarise(problems: readonly string[]): string {
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : ''
  return `${problems[0]}${more}`
}
