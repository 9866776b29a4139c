/** What can be said about an automaton without running it. */
import type { Automaton } from './automaton.ts'

/** For each state, whether the end of its rule can be reached. */
export function productiveStates({ states, rules }: Automaton): boolean[] {
  const productive = states.map(() => false)
  const users = usersOf({ states, rules })
  const queue: number[] = []
  const mark = (state: number): void => {
    if (productive[state]) return
    productive[state] = true
    queue.push(state)
  }
  for (const { end } of rules) mark(end)
  for (let state = queue.pop(); state !== undefined; state = queue.pop()) {
    for (const { user, needs } of users[state]!) if (needs === undefined || productive[needs]) mark(user)
  }
  return productive
}

/** For each state, who may become productive by it; `needs`: only together with this state. */
function usersOf({
  states,
  rules,
}: Pick<Automaton, 'states' | 'rules'>): { readonly user: number; readonly needs: number | undefined }[][] {
  const users: { user: number; needs: number | undefined }[][] = states.map(() => [])
  for (const [user, { bytes, also, calls }] of states.entries()) {
    for (const { target } of bytes) users[target]!.push({ user, needs: undefined })
    for (const target of also) users[target]!.push({ user, needs: undefined })
    for (const { rule, target } of calls) {
      const { start } = rules[rule]!
      users[target]!.push({ user, needs: start })
      users[start]!.push({ user, needs: target })
    }
  }
  return users
}

/** The name of a rule that can call itself without taking a byte; a matcher would do so for ever. */
export function findLeftRecursion(automaton: Automaton): string | undefined {
  const { rules } = automaton
  const callees = leftCallees(automaton)
  const state = rules.map((): 'new' | 'open' | 'done' => 'new')
  for (const first of rules.keys()) {
    if (state[first] !== 'new') continue
    const path = [{ rule: first, next: 0 }]
    state[first] = 'open'
    while (path.length > 0) {
      const top = path.at(-1)!
      const callee = callees[top.rule]![top.next++]
      if (callee === undefined) {
        state[top.rule] = 'done'
        path.pop()
      } else if (state[callee] === 'open') return rules[callee]!.name
      else if (state[callee] === 'new') {
        state[callee] = 'open'
        path.push({ rule: callee, next: 0 })
      }
    }
  }
  return undefined
}

/** For each rule, which rules it may call before it has taken a byte. */
function leftCallees(automaton: Automaton): number[][] {
  const nullable = nullableRules(automaton)
  return automaton.rules.map(({ start }) => {
    const callees = new Set<number>()
    walkWithoutBytes(automaton, start, nullable, (rule) => callees.add(rule))
    return [...callees]
  })
}

/** For each rule, whether it matches the empty text. */
function nullableRules(automaton: Automaton): boolean[] {
  const nullable = automaton.rules.map(() => false)
  const callers = automaton.rules.map((): Set<number> => new Set())
  const queue = [...automaton.rules.keys()]
  for (let index = queue.pop(); index !== undefined; index = queue.pop()) {
    if (nullable[index]) continue
    const { start, end } = automaton.rules[index]!
    const reached = walkWithoutBytes(automaton, start, nullable, (rule) => callers[rule]!.add(index))
    if (!reached.has(end)) continue
    nullable[index] = true
    queue.push(...callers[index]!)
  }
  return nullable
}

function walkWithoutBytes(
  { states }: Automaton,
  start: number,
  nullable: readonly boolean[],
  onCall: (rule: number) => void,
): Set<number> {
  const seen = new Set([start])
  const queue = [start]
  const visit = (state: number): void => {
    if (seen.has(state)) return
    seen.add(state)
    queue.push(state)
  }
  for (let state = queue.pop(); state !== undefined; state = queue.pop()) {
    const { also, calls } = states[state]!
    also.forEach(visit)
    for (const { rule, target } of calls) {
      onCall(rule)
      if (nullable[rule]) visit(target)
    }
  }
  return seen
}
