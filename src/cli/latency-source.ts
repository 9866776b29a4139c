/** From what follows `--latency` to a latency model, and to what an engine on that machine would be. */
import { existsSync } from 'node:fs'
import { didYouMean } from '../config/suggest.ts'
import { ServingError } from '../core/errors.ts'
import { deviceNames, devices, type DeviceName } from '../simulator/latency/devices.ts'
import type { LatencyModel } from '../simulator/latency/latency-model.ts'
import { measured } from '../simulator/latency/measured.ts'
import { modelNames, models, type ModelName } from '../simulator/latency/models.ts'
import {
  costsOf,
  kvTokensOf,
  roofline,
  usualEfficiency,
  type ModelCosts,
} from '../simulator/latency/roofline.ts'
import { readLatencyFile } from './latency-file.ts'
import { costsOfFile } from './model-costs.ts'

export interface LatencySource {
  readonly latency: LatencyModel
  /** For the report. */
  readonly machine: string
  readonly model: string
  readonly kvTokens: number
  readonly maxModelLen: number
  /** Of the calibrated engine. */
  readonly blockSize: number | undefined
}

const prefix = 'roofline:'

/** @throws {ServingError} INVALID_CONFIG */
export function openLatency(source: string): LatencySource {
  return source.startsWith(prefix) ? openRoofline(source.slice(prefix.length)) : openMeasured(source)
}

function openMeasured(path: string): LatencySource {
  const file = readLatencyFile(path)
  const { engine, machine } = file
  return {
    latency: measured(file),
    machine: `${engine.device}, ${engine.numThreads} threads (${machine.cpu})`,
    model: engine.model,
    kvTokens: engine.numBlocks * engine.blockSize,
    maxModelLen: engine.maxModelLen,
    blockSize: engine.blockSize,
  }
}

const efficiencies = { compute: 'compute', bandwidth: 'bandwidth', 'step-micros': 'stepMicros' } as const

function openRoofline(text: string): LatencySource {
  const given = parsePairs(text)
  const deviceName = oneOf(given, 'device', deviceNames)
  const device = devices[deviceName]
  const model = modelCosts(given.get('model'))
  const efficiency = { ...usualEfficiency }
  for (const [key, field] of Object.entries(efficiencies)) {
    const value = given.get(key)
    if (value !== undefined) efficiency[field] = positive(key, value)
  }
  const unknown = [...given.keys()].find(
    (key) => !['device', 'model', ...Object.keys(efficiencies)].includes(key),
  )
  if (unknown !== undefined)
    refuse(`${unknown} is none of device, model, ${Object.keys(efficiencies).join(', ')}`)
  const kvTokens = kvTokensOf(model, device)
  if (kvTokens < 1024) refuse(`${model.name} does not fit into the memory of ${deviceName}`)
  return {
    latency: roofline(model, device, efficiency),
    machine: deviceName,
    model: model.name,
    kvTokens,
    maxModelLen: model.contextLength,
    blockSize: undefined,
  }
}

function modelCosts(name: string | undefined): ModelCosts {
  if (name === undefined) return refuse(`model is missing: a GGUF file, or one of ${modelNames.join(', ')}`)
  if (Object.hasOwn(models, name)) return costsOf(name, models[name as ModelName])
  if (existsSync(name)) return costsOfFile(name)
  return refuse(
    `model ${name} is no file and none of ${modelNames.join(', ')}.${didYouMean(name, modelNames)}`,
  )
}

function parsePairs(text: string): Map<string, string> {
  const pairs = text.split(',').map((pair) => {
    const at = pair.indexOf('=')
    if (at < 1) return refuse(`expected roofline:KEY=VALUE,..., got "${pair}"`)
    return [pair.slice(0, at).trim(), pair.slice(at + 1).trim()] as const
  })
  return new Map(pairs)
}

function oneOf<Name extends DeviceName>(
  given: ReadonlyMap<string, string>,
  key: string,
  names: readonly Name[],
): Name {
  const value = given.get(key)
  const found = names.find((name) => name === value)
  return found ?? refuse(`${key} is one of ${names.join(', ')}, not ${value ?? 'left out'}`)
}

function positive(key: string, value: string): number {
  const number = Number(value)
  return Number.isFinite(number) && number > 0 ? number : refuse(`${key}: "${value}" is no number above 0`)
}

function refuse(why: string): never {
  throw new ServingError('INVALID_CONFIG', `--latency: ${why}`)
}
