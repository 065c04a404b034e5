// What a queue's row says first: how it does, in one word and one sentence; and which queue comes first.
import type { components } from '../api/schema'
import { count, duration } from '../format'
import type { GlyphName } from '../parts/Icon'

export type OverviewQueue = components['schemas']['OverviewQueue']

export interface Condition {
  level: 'calm' | 'watch' | 'trouble'
  glyph: GlyphName
  says: string
}

/** The oldest job against this objective decides; 80 % of it is worth a look. */
export const OBJECTIVE_SECONDS = 60

export function condition({ row }: OverviewQueue, objective = OBJECTIVE_SECONDS): Condition {
  const oldest = row.oldestWaitingSeconds ?? 0
  const waiting = waitingOf(row.states)
  const held = Object.entries(row.held).filter(([, jobs]) => jobs > 0)
  if (held.length > 0) {
    return { level: 'trouble', glyph: 'held', says: `Held: ${held.map(([name]) => name).join(', ')} breaker open` }
  }
  if (waiting > 0 && row.workers === 0) return { level: 'trouble', glyph: 'alert', says: 'No worker serves it' }
  if (row.paused) return { level: 'watch', glyph: 'paused', says: 'Paused' }
  if (row.unknownNames.length > 0) {
    return { level: 'watch', glyph: 'alert', says: `Nobody knows ${row.unknownNames.join(', ')}` }
  }
  if (oldest > objective) return { level: 'trouble', glyph: 'limited', says: `Behind by ${duration(oldest - objective)}` }
  if (oldest > 0.8 * objective) return { level: 'watch', glyph: 'limited', says: 'Close to its objective' }
  if (waiting === 0 && row.states['active'] === 0) return { level: 'calm', glyph: 'calm', says: 'Idle' }
  return { level: 'calm', glyph: 'calm', says: 'Keeping up' }
}

export function waitingOf(states: Record<string, number>): number {
  return (states['waiting'] ?? 0) + (states['prioritized'] ?? 0)
}

/** What runs and waits for later, in words. */
export function besides(states: Record<string, number>): string {
  const active = `${count(states['active'] ?? 0)} active`
  const delayed = states['delayed'] ?? 0
  return delayed ? `${active} · ${count(delayed)} delayed` : active
}

const ORDER = { trouble: 0, watch: 1, calm: 2 }

export function worstFirst(queues: OverviewQueue[]): OverviewQueue[] {
  const key = (queue: OverviewQueue) => [
    ORDER[condition(queue).level],
    -(queue.row.oldestWaitingSeconds ?? 0),
    -waitingOf(queue.row.states),
  ]
  return [...queues].sort((a, b) => {
    const [x, y] = [key(a), key(b)]
    for (let i = 0; i < x.length; i += 1) if (x[i] !== y[i]) return x[i]! - y[i]!
    return a.row.queue.localeCompare(b.row.queue)
  })
}
