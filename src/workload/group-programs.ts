import type { WorkloadRequest } from './workload.ts'

/** Positions of the turns of each program in order, or of a request that stands alone, in order of first arrival. */
export function groupPrograms(requests: readonly WorkloadRequest[]): readonly (readonly number[])[] {
  const programs = new Map<string, number[]>()
  const all: number[][] = []
  requests.forEach(({ program }, index) => {
    const turns = program === undefined ? undefined : programs.get(program)
    if (turns !== undefined) {
      turns.push(index)
      return
    }
    const started = [index]
    all.push(started)
    if (program !== undefined) programs.set(program, started)
  })
  return all
}
