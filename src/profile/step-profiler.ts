/**
 * Writes a trace of an engine's steps while it runs. A step's end costs an entry in a list; making text of it and
 * writing that is for the time in which kernels compute anyhow.
 */
import { PerformanceObserver, type PerformanceEntry } from 'node:perf_hooks'
import type { ProfileHeader, StepTimes, WaitKind } from './step-times.ts'
import { headerEvents, spanEvent, stepEvents, waitNames, type TraceEvent } from './trace-events.ts'

/** What a profile is written to, from its beginning on. */
export interface ProfileFile {
  write(text: string): void
  close(): void
}

export class StepProfiler {
  readonly #file: ProfileFile
  readonly #observer: PerformanceObserver
  #steps: StepTimes[] = []
  #others: TraceEvent[] = []
  #hasEvents = false

  /** `file`: a new one, which is closed with this. */
  constructor(file: ProfileFile, header: ProfileHeader) {
    this.#file = file
    this.#append(headerEvents(header))
    this.#observer = new PerformanceObserver((list) => this.#collect(list.getEntries()))
    this.#observer.observe({ entryTypes: ['gc'] })
  }

  step(times: StepTimes): void {
    this.#steps.push(times)
  }

  /** Instants in milliseconds. */
  waited(kind: WaitKind, from: number, to: number): void {
    this.#others.push(spanEvent('waits', waitNames[kind], [from, to]))
  }

  /** Writes what there is. To be called when nobody waits for JavaScript. */
  write(): void {
    const steps = this.#steps
    const others = this.#others
    if (steps.length + others.length === 0) return
    this.#steps = []
    this.#others = []
    this.#append([...others, ...steps.flatMap(stepEvents)])
  }

  close(): void {
    this.#collect(this.#observer.takeRecords())
    this.#observer.disconnect()
    this.write()
    this.#file.write('\n]\n')
    this.#file.close()
  }

  #collect(entries: readonly PerformanceEntry[]): void {
    for (const { startTime, duration } of entries) {
      this.#others.push(spanEvent('garbage', 'garbage collection', [startTime, startTime + duration]))
    }
  }

  /** The closing bracket of an engine that was killed is missing; the format allows that. */
  #append(events: readonly TraceEvent[]): void {
    const text = events.map((event) => JSON.stringify(event)).join(',\n')
    this.#file.write(`${this.#hasEvents ? ',\n' : '[\n'}${text}`)
    this.#hasEvents = true
  }
}
