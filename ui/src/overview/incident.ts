// What is wrong, why, and the one repair: decided from how queues, breakers and dead letters stand. No I/O.
import type { components } from '../api/schema'
import type { Group } from '../dead/groups'
import { errorName, keyOf, sentence } from '../dead/groups'
import { count, duration, rate } from '../format'
import type { GlyphName } from '../parts/Icon'
import type { Change } from '../queues/marks'
import { type OverviewQueue, waitingOf } from '../queues/trouble'
import { texts } from '../texts'
import { BUILT_IN } from './builtIn'
import { providerOf } from './providers'

type Overview = components['schemas']['Overview']
type Breaker = components['schemas']['workers_BreakerRow']

export interface Figure {
  value: string
  label: string
  bad?: boolean
}

/** A link of the chain that led here; `cause` is the one to repair. */
export interface Link {
  at?: number
  glyph: GlyphName
  says: string
  cause?: boolean
}

export type Repair =
  | { does: 'resume'; breaker: string }
  | { does: 'copy'; command: string }
  | { does: 'dead'; queue: string; group: string; jobs: number }
  | { does: 'workers' }

export interface Incident {
  kind: 'held' | 'unserved' | 'rising' | 'behind'
  glyph: GlyphName
  queue: string
  title: string
  since?: number
  figures: Figure[]
  impact: string
  why: Link[]
  /** What a person has to do first, if the button alone is not enough. */
  first?: string
  repair: Repair
  /** What the button brings, in words. */
  brings: string
  /** Dead letters of the queue that are left to be retried afterwards. */
  afterwards?: { queue: string; jobs: number }
}

/** A group rises when its last hour has so many failures, and so many times those of its usual hour. */
const RISING_JOBS = 10
const RISING_TIMES = 3

/** A group that was quiet for so long is history, not an incident. */
const RISING_SECONDS = 900

/** A deploy so long before the start may have to do with it. */
const DEPLOY_SECONDS = 1_800

/** A share of failures that explains a backlog by itself. */
const FAILING = 0.2

const { held: says, unserved: alone, rising: rises, behind: late, figures } = texts.overview

const ORDER = { held: 0, unserved: 1, rising: 2, behind: 3 }

export interface Dead {
  groups: Group[]
  hours: Record<string, Record<string, number[]>>
}

/** All that is wrong, the worst first; empty when all is well. */
export function incidents(overview: Overview, dead?: Dead, changes: Change[] = []): Incident[] {
  const found = [
    ...overview.breakers.filter(isHolding).map((breaker) => held(breaker, overview)),
    ...overview.queues.filter(isUnserved).map((queue) => unserved(queue, overview)),
    ...(dead?.groups ?? []).filter((group) => isRising(group, dead!, overview.at)).map((group) => rising(group, dead!, overview)),
    ...overview.queues.filter(isBehind).map((queue) => behind(queue, overview.at)),
  ]
  const holding = new Set(overview.queues.filter(({ row }) => overview.breakers.some((breaker) => isHolding(breaker) && row.held[breaker.name])).map(({ row }) => row.queue))
  // Behind it is anyhow, while its jobs are held: said once.
  const told = found.filter((incident) => incident.kind !== 'behind' || !holding.has(incident.queue))
  return told.map((incident) => withDeploy(incident, changes)).sort((a, b) => ORDER[a.kind] - ORDER[b.kind] || weight(b, overview) - weight(a, overview))
}

/** The last deploy shortly before it began: not the cause for sure, but what everybody asks first. */
function withDeploy(incident: Incident, changes: Change[]): Incident {
  const { since } = incident
  if (since === undefined) return incident
  const deploys = changes.filter((change) => change.kind === 'deploy' && change.at <= since && change.at > since - DEPLOY_SECONDS)
  const last = deploys.sort((a, b) => b.at - a.at)[0]
  if (!last) return incident
  return { ...incident, why: [{ at: last.at, glyph: 'deploy', says: texts.charts.deploy(last.what.split('@').at(-1)!) }, ...incident.why] }
}

function isHolding(breaker: Breaker): boolean {
  return breaker.state !== 'closed' && breaker.held > 0
}

function isUnserved({ row }: OverviewQueue): boolean {
  return row.workers === 0 && !row.paused && waitingOf(row.states) > 0
}

function isBehind({ row }: OverviewQueue): boolean {
  return row.workers > 0 && !row.paused && (row.oldestWaitingSeconds ?? 0) > row.objective.age
}

function isRising(group: Group, dead: Dead, now: number): boolean {
  const last = lastHour(group, dead)
  const hours = dead.hours[group.queue]?.[group.id] ?? []
  const before = hours.slice(0, -1)
  const usual = before.reduce((all, failed) => all + failed, 0) / Math.max(1, before.length)
  const fresh = now - group.lastSeen < RISING_SECONDS
  return group.state === 'open' && fresh && last >= RISING_JOBS && last >= RISING_TIMES * usual
}

function lastHour(group: Group, dead: Dead): number {
  return dead.hours[group.queue]?.[group.id]?.at(-1) ?? 0
}

function held(breaker: Breaker, overview: Overview): Incident {
  const queues = overview.queues
    .filter(({ row }) => (row.held[breaker.name] ?? 0) > 0)
    .sort((a, b) => b.row.held[breaker.name]! - a.row.held[breaker.name]!)
  const first = queues[0]
  const name = first?.row.queue ?? ''
  const more = queues.length > 1 ? count(queues.length - 1) : ''
  const dead = first?.row.states['failed'] ?? 0
  const arrives = queues.reduce((all, { row }) => all + row.recent.arrived / row.recent.windowSeconds, 0)
  const probing = breaker.state === 'half-open'
  const jobs = figures.jobs(count(breaker.held), breaker.held === 1)
  const provider = providerOf(breaker.name)
  const called = provider?.name ?? breaker.name
  const settings = provider?.settings ?? []
  const refused = breaker.cause === 'configuration' && settings.length > 0
  const cause = refused ? says.refuses(called) : breaker.cause === 'operator' ? says.byHand(called) : says.breaker(called, probing)
  return {
    kind: 'held',
    glyph: 'held',
    queue: name,
    title: says.title(name, more, cause),
    since: breaker.since ?? undefined,
    figures: [
      { value: count(breaker.held), label: figures.held, bad: true },
      { value: breaker.since === null ? figures.unknown : duration(overview.at - breaker.since), label: figures.sinceOpen },
      { value: count(dead), label: figures.dead(dead === 1) },
    ],
    impact: arrives > 0 ? says.arrive(rate(arrives), queues.some(({ row }) => row.recent.perSecond > 0)) : says.noneLost,
    why: [
      { glyph: 'key', says: says.reason(called, breaker.reason), cause: true },
      { at: breaker.since ?? undefined, glyph: 'held', says: says.opened(jobs) },
      ...(probing ? [{ glyph: 'next' as const, says: says.probing }] : []),
    ],
    first: refused ? says.setKey(settings) : says.repairAt(called),
    repair: { does: 'resume', breaker: breaker.name },
    brings: says.runsAgain(jobs),
    ...(dead > 0 && { afterwards: { queue: name, jobs: dead } }),
  }
}

function unserved({ row }: OverviewQueue, overview: Overview): Incident {
  const waiting = waitingOf(row.states)
  return {
    kind: 'unserved',
    glyph: 'alert',
    queue: row.queue,
    title: alone.title(row.queue),
    figures: [
      { value: count(waiting), label: figures.waiting, bad: true },
      { value: duration(row.oldestWaitingSeconds), label: figures.oldest, bad: true },
      { value: count(0), label: figures.workers },
    ],
    impact: row.recent.arrived ? alone.arrive(rate(row.recent.arrived / row.recent.windowSeconds)) : alone.noneArrives,
    why: [
      { glyph: 'alert', says: alone.others(overview.workers), cause: true },
      { glyph: 'waiting', says: alone.wait(count(waiting), waiting === 1) },
    ],
    ...(BUILT_IN.includes(row.queue)
      ? { repair: { does: 'copy', command: alone.command(row.queue) }, brings: alone.brings }
      : { repair: { does: 'copy', command: alone.commandOfModule }, brings: alone.bringsOfModule(row.queue) }),
  }
}

function rising(group: Group, dead: Dead, overview: Overview): Incident {
  const last = lastHour(group, dead)
  const row = overview.queues.find((queue) => queue.row.queue === group.queue)?.row
  const name = errorName(group.error)
  const what = name === 'Unrecoverable' ? sentence(group) : name
  return {
    kind: 'rising',
    glyph: 'failed',
    queue: group.queue,
    title: rises.title(group.queue, what),
    since: group.firstSeen,
    figures: [
      { value: count(last), label: figures.lastHour, bad: true },
      { value: count(group.count), label: figures.ofKind },
      { value: row ? figures.percent((row.recent.failureRate * 100).toFixed(1)) : figures.unknown, label: figures.fail },
    ],
    impact: rises.impact(group.name),
    why: [
      { at: group.firstSeen, glyph: 'failed', says: rises.seenFirst(name) },
      { at: group.lastSeen, glyph: 'failed', says: sentence(group), cause: true },
    ],
    repair: { does: 'dead', queue: group.queue, group: keyOf(group), jobs: group.count },
    brings: rises.brings,
  }
}

function behind({ row }: OverviewQueue, now: number): Incident {
  const objective = row.objective.age
  const oldest = row.oldestWaitingSeconds ?? 0
  const comes = row.recent.arrived / row.recent.windowSeconds
  const goes = row.recent.perSecond
  const why: Link[] = [{ glyph: 'limited', says: cause(row, comes, goes), cause: true }]
  if (row.drainSeconds != null && comes < goes) why.push({ glyph: 'next', says: late.drained(duration(row.drainSeconds)) })
  return {
    kind: 'behind',
    glyph: 'limited',
    queue: row.queue,
    title: late.title(row.queue, duration(oldest - objective)),
    since: now - (oldest - objective),
    figures: [
      { value: count(waitingOf(row.states)), label: figures.waiting },
      { value: duration(oldest), label: figures.oldestOf(duration(objective)), bad: true },
      { value: figures.perSecond(rate(goes)), label: figures.done },
    ],
    impact: late.impact(rate(comes), rate(goes)),
    why,
    repair: { does: 'workers' },
    brings: late.brings,
  }
}

function cause(row: OverviewQueue['row'], comes: number, goes: number): string {
  if (row.recent.failureRate > FAILING) return late.fail(Math.round(row.recent.failureRate * 100))
  if (row.recent.stalled > 0) return late.stalled(count(row.recent.stalled), row.recent.stalled === 1)
  if (goes === 0) return late.stands
  if (comes > goes) return late.growing(rate(comes), rate(goes))
  return late.backlog
}

function weight(incident: Incident, overview: Overview): number {
  const row = overview.queues.find((queue) => queue.row.queue === incident.queue)?.row
  if (!row) return 0
  return incident.kind === 'held' ? Object.values(row.held).reduce((all, jobs) => all + jobs, 0) : (row.oldestWaitingSeconds ?? 0)
}
