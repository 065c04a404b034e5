// What the page of dead letters decides: which groups it shows, what it says of each, what fits a breaker.
import { parseJson } from '../api/exact'
import type { components } from '../api/schema'
import { ago, count, duration, rate } from '../format'
import { called } from '../overview/providers'
import { texts } from '../texts'

const { remarks, operation: says } = texts.dead

type Schemas = components['schemas']
export type Group = Schemas['GroupView']
export type Operation = Schemas['OperationView']
export type Letter = Schemas['LetterView']
export type Desk = Schemas['AllGroupsView']
export type Breaker = Schemas['breakers_BreakerRow']
export type State = 'open' | 'ignored' | 'resolved'

export const STATES: readonly State[] = ['open', 'ignored', 'resolved']

/** A group's name over all queues, as in the address bar. */
export function keyOf(group: { queue: string; id: string }): string {
  return `${group.queue}:${group.id}`
}

/** The class without its module: `corral.errors.Unrecoverable` is Unrecoverable. */
export function errorName(error: string): string {
  return error.split('.').at(-1) || texts.dead.noClass
}

/** `lab/worker.py in send` as people write it: lab/worker.py:send. */
export function placeOf(frame: string): string {
  return frame.replace(' in ', ':')
}

export function sentence(group: Pick<Group, 'reason' | 'text' | 'redacted'>): string {
  if (group.redacted) return texts.dead.redacted
  return (group.reason || group.text).split('\n', 1)[0] || texts.dead.noReason
}

/** What is typed into the filter: `queue:email error:503 name:send` and words that may be anywhere. */
export function fits(group: Group, filter: string): boolean {
  return filter
    .toLowerCase()
    .split(/\s+/)
    .filter(Boolean)
    .every((word) => {
      const [, field, value] = /^(queue|error|name|where):(.*)$/.exec(word) ?? ['', '', word]
      const error = `${group.error} ${group.reason} ${group.text}`
      const places: Record<string, string> = { queue: group.queue, error, name: group.name, where: group.frame }
      const within = field ? places[field]! : `${error} ${group.queue} ${group.name} ${group.frame} ${group.id}`
      return within.toLowerCase().includes(value!)
    })
}

/** Groups by state that fit; the server has sorted them by when they were seen last. An open group that has no
 * job left is done with; it stays while something runs on it. */
export function byState(groups: Group[], running: Operation[], queue: string, filter: string): Record<State, Group[]> {
  const found: Record<State, Group[]> = { open: [], ignored: [], resolved: [] }
  for (const group of groups) {
    const isLeft = group.count > 0 || group.state !== 'open' || running.some((operation) => isOf(operation, group))
    if (isLeft && (!queue || group.queue === queue) && fits(group, filter)) found[group.state as State]?.push(group)
  }
  return found
}

export type Sort = 'newest' | 'most'

/** As the server has them, or those with most jobs first. */
export function sorted(groups: Group[], by: Sort): Group[] {
  return by === 'most' ? [...groups].sort((a, b) => b.count - a.count) : groups
}

export function isOf(operation: Operation, group: Group): boolean {
  return operation.queue === group.queue && operation.group === group.id
}

/** What is remarkable about a group, in a few words. */
export function remark(group: Group, now: number): { says: string; bad?: boolean } | null {
  if (group.state === 'ignored') {
    if (group.ignoredUntil) return { says: remarks.ignoredFor(duration(Math.max(0, group.ignoredUntil - now))) }
    if (group.ignoredFailures) return { says: remarks.ignoredFailures(count(group.ignoredFailures)) }
    return { says: remarks.ignored }
  }
  if (group.state === 'resolved') return { says: remarks.resolved(ago(group.stateSince ?? now, now), person(group.stateBy)) }
  if (group.reopened) return { says: remarks.again(group.reopened), bad: true }
  if (errorName(group.error) === 'Unrecoverable') return { says: remarks.permanent }
  if (now - group.firstSeen < 3600) return { says: remarks.fresh(ago(group.firstSeen, now)), bad: true }
  return null
}

/** `user:ada` is ada. */
export function person(actor: string): string {
  return actor.replace(/^user:/, '') || texts.dead.somebody
}

/** The breaker that a retry of this group should wait for: it holds jobs of the same queue. */
export function breakerFor(group: Group, letter: Letter | undefined, breakers: Breaker[]): Breaker | null {
  const open = breakers.filter((breaker) => breaker.state !== 'closed')
  return (
    open.find((breaker) => breaker.name === letter?.breaker) ??
    open.find((breaker) => breaker.job.startsWith(`${group.queue}:`)) ??
    null
  )
}

/** How long a retry takes at a pace, in words; null: as fast as it goes. */
export function takes(jobs: number, perSecond: number | null): string {
  return perSecond === null ? says.atOnce : says.takes(duration(Math.max(1, jobs / perSecond)))
}

/** The paces that the slider has. */
export const PACES = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] as const

export function isOver(operation: Operation): boolean {
  return operation.state === 'done' || operation.state === 'stopped'
}

export interface Told {
  says: string
  /** 0 to 1; null: nobody knows yet how much there is. */
  share: number | null
  facts: string[]
}

/** How an operation stands, in words. */
export function told(operation: Operation): Told {
  const done = operation.moved + operation.gone
  const share = operation.selected && operation.total ? Math.min(1, done / operation.total) : null
  const facts: string[] = []
  if (operation.rate) facts.push(says.rate(rate(operation.rate)))
  if (operation.gone) facts.push(says.gone(count(operation.gone)))
  if (operation.final) facts.push(says.final(count(operation.final)))
  if (isOver(operation)) {
    const left = operation.state === 'stopped' ? count(operation.left) : ''
    return { says: says.over(says.did[operation.kind], count(operation.moved), left), share: 1, facts }
  }
  if (operation.state === 'waiting' && operation.breaker) {
    return { says: says.waits(called(operation.breaker)), share, facts }
  }
  if (operation.rate && operation.left) facts.push(texts.dead.left(duration(operation.left / operation.rate)))
  const doing = operation.state === 'stopping' ? says.stopping : says.doing[operation.kind]
  return { says: operation.total ? says.runs(doing, count(done), count(operation.total)) : doing, share, facts }
}

/** For how many seconds a discard can still be taken back; 0: it cannot, or was. */
export function undoLeft(operation: Operation, now: number, operations: Operation[]): number {
  if (!operation.undoUntil || operations.some((other) => other.undoes === operation.id)) return 0
  return Math.max(0, operation.undoUntil - now)
}

export interface StackLine {
  text: string
  hot: boolean
}

/** A trace by line; hot are the frame that counts and the code beneath it. */
export function stackLines(trace: string, frame: string): StackLine[] {
  const [file, name] = frame.split(' in ')
  let below = false
  return trace
    .trimEnd()
    .split('\n')
    .map((text) => {
      const at = Boolean(file) && text.includes(`${file}"`) && (!name || text.endsWith(`in ${name}`))
      const hot = at || (below && /^\s{4}/.test(text))
      below = at
      return { text: shortFile(text), hot }
    })
}

/** `File "/srv/app/.venv/lib/shop/mail.py"` as its last three parts: what is before them is the same for all. */
function shortFile(line: string): string {
  return line.replace(/^( {2}File ")([^"]+)/, (_, start: string, path: string) => start + path.split('/').slice(-3).join('/'))
}

/** JSON as people type it: the value, or where it is wrong. */
export function readJson(text: string): { value: unknown } | { error: string } {
  try {
    return { value: parseJson(text) }
  } catch (error) {
    return { error: (error as Error).message }
  }
}

/** The top of a job's data as name and value, of what is cut its whole members; null where there is none. */
export function pairs(text: string): [string, string][] | null {
  const whole = readJson(text)
  const read = 'error' in whole ? readJson(wholeMembers(text)) : whole
  if ('error' in read || typeof read.value !== 'object' || read.value === null || Array.isArray(read.value)) return null
  const found = Object.entries(read.value)
  if (found.length === 0 && read !== whole) return null
  return found.map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)])
}

/** The start of an object up to the last member that is whole, closed. */
function wholeMembers(text: string): string {
  let [depth, quoted, end] = [0, false, 0]
  for (let at = 0; at < text.length; at += 1) {
    const sign = text[at]!
    if (sign === '\\') at += 1
    else if (sign === '"') quoted = !quoted
    else if (quoted) continue
    else if (sign === '{' || sign === '[') depth += 1
    else if (sign === '}' || sign === ']') depth -= 1
    else if (sign === ',' && depth === 1) end = at
  }
  return `${text.slice(0, end)}}`
}
