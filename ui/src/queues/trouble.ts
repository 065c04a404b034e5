// What a queue's row says first: how it does, in one word and one sentence; and which queue comes first.
import type { components } from '../api/schema'
import { count, duration } from '../format'
import type { GlyphName } from '../parts/Icon'
import { called } from '../overview/providers'
import { texts } from '../texts'

export type OverviewQueue = components['schemas']['OverviewQueue']
export type QueueRow = components['schemas']['QueueRow']

export type Level = 'calm' | 'watch' | 'trouble'

export interface Condition {
  level: Level
  glyph: GlyphName
  says: string
}

/** Of the objective; above it a queue is worth a look. */
const CLOSE = 0.8

/** So much more has to come than goes: counts of a few minutes swing by themselves. */
const MORE = 1.05

const say = texts.trouble

/** Age before depth: what must be lifted first decides, then the oldest job against the objective. */
export function condition({ row }: Pick<OverviewQueue, 'row'>): Condition {
  const waiting = waitingOf(row.states)
  const oldest = row.oldestWaitingSeconds ?? 0
  const objective = row.objective.age
  const held = Object.keys(row.held).filter((breaker) => row.held[breaker]! > 0)
  if (held.length > 0) return { level: 'trouble', glyph: 'held', says: say.held(held.map(called).join(', ')) }
  // On purpose: worth a look while something waits for it, and grey while nothing does.
  if (row.paused) return waiting > 0 ? { level: 'watch', glyph: 'paused', says: say.paused } : { level: 'calm', glyph: 'paused', says: say.pausedIdle }
  if (waiting > 0 && row.workers === 0) return { level: 'trouble', glyph: 'alert', says: say.noWorker }
  if (row.unknownNames.length > 0) return { level: 'watch', glyph: 'alert', says: say.unknown(row.unknownNames.join(', ')) }
  const limited = waiting > 0 && row.rateLimitedSeconds > 0
  if (oldest > objective) {
    const behind = duration(oldest - objective)
    return { level: 'trouble', glyph: 'limited', says: limited ? say.behindLimited(behind) : say.behind(behind) }
  }
  if (limited) return { level: 'watch', glyph: 'limited', says: say.limited(duration(row.rateLimitedSeconds)) }
  if (oldest > CLOSE * objective) return { level: 'watch', glyph: 'limited', says: say.close }
  if (willMiss(row)) return { level: 'watch', glyph: 'limited', says: say.growing }
  if (waiting === 0 && !row.states['active']) {
    const later = row.states['delayed'] ?? 0
    return { level: 'calm', glyph: 'calm', says: later ? say.idleUntil(count(later)) : say.idle }
  }
  return { level: 'calm', glyph: 'calm', says: say.keepsUp }
}

/** More comes than goes, and what waits will not be done within the objective: no burst that passes. */
function willMiss(row: QueueRow): boolean {
  const { arrived, windowSeconds, perSecond } = row.recent
  if (row.drainSeconds == null || arrived / windowSeconds <= perSecond * MORE) return false
  return (row.oldestWaitingSeconds ?? 0) + row.drainSeconds > row.objective.age
}

export type Drain = { kind: 'now' } | { kind: 'in'; seconds: number } | { kind: 'never'; bad: boolean } | { kind: 'unknown' }

/** When nothing waits any more. A queue that keeps up and whose rate nobody knows yet is not stuck. */
export function drained(row: QueueRow): Drain {
  const { level } = condition({ row })
  const held = row.states['held'] ?? 0
  if (held === 0 && row.drainSeconds != null) {
    return row.drainSeconds < 1 ? { kind: 'now' } : row.paused ? { kind: 'never', bad: false } : { kind: 'in', seconds: row.drainSeconds }
  }
  if (row.paused || level !== 'calm') return { kind: 'never', bad: level === 'trouble' }
  return { kind: 'unknown' }
}

export function drainedSays(drain: Drain): string {
  if (drain.kind === 'in') return duration(drain.seconds)
  return drain.kind === 'now' ? say.now : drain.kind === 'never' ? say.notDraining : say.unknownDrain
}

export function waitingOf(states: Record<string, number>): number {
  return (states['waiting'] ?? 0) + (states['prioritized'] ?? 0)
}

/** How long the oldest waits, held jobs among them; 0: none does. */
export function oldestOf(row: QueueRow): number {
  return Math.max(row.oldestWaitingSeconds ?? 0, row.heldSeconds)
}

/** What waits, with what a breaker holds: to whoever added it, it waits as well. */
export function queuedOf(states: Record<string, number>): number {
  return waitingOf(states) + (states['held'] ?? 0)
}

/** What runs and waits for later, in words. */
export function besides(states: Record<string, number>): string {
  return say.besides(count(states['active'] ?? 0), states['delayed'] ? count(states['delayed']) : '')
}

const ORDER = { trouble: 0, watch: 1, calm: 2 }

/** How a queue is placed: by its level, a held one first, then by the share of its objective that is used up, then by depth. */
function rank(queue: OverviewQueue): [number, number, number] {
  const { row } = queue
  const held = Object.values(row.held).some((jobs) => jobs > 0)
  return [ORDER[condition(queue).level], held ? -Infinity : -oldestOf(row) / row.objective.age, -queuedOf(row.states)]
}

export function worstFirst(queues: OverviewQueue[]): OverviewQueue[] {
  const ranked = queues.map((queue) => ({ queue, key: rank(queue) }))
  ranked.sort((a, b) => {
    for (const at of [0, 1, 2] as const) if (a.key[at] !== b.key[at]) return a.key[at] - b.key[at]
    return a.queue.row.queue.localeCompare(b.queue.row.queue)
  })
  return ranked.map((one) => one.queue)
}
