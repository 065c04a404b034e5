// Why a queue is slow: one sentence, one that supports it, and what repairs it.
import type { components } from '../api/schema'
import { clock, count, duration } from '../format'
import type { QueueSettings } from '../jobs/api'
import { called } from '../overview/providers'
import { texts } from '../texts'
import { waitingOf } from './trouble'

type Breaker = components['schemas']['breakers_BreakerRow']
type QueueRow = components['schemas']['QueueRow']

const says = texts.why

export interface Slow {
  level: 'trouble' | 'watch'
  says: string
  more: string
  repair?: { kind: 'breaker'; name: string } | { kind: 'resume' }
}

/** Null: it is not slow. The cause that must be lifted first decides. `breakers`, `now`: for what one that holds jobs has met. */
export function slowBecause(row: QueueRow, settings: QueueSettings | undefined, breakers: Breaker[] = [], now = 0): Slow | null {
  const waiting = waitingOf(row.states)
  const active = row.states['active'] ?? 0
  const oldest = row.oldestWaitingSeconds ?? 0
  const behind = oldest > row.objective.age
  const line = says.waits(count(waiting), waiting === 1, oldest ? duration(oldest) : '')
  const held = Object.entries(row.held).filter(([, jobs]) => jobs > 0).sort((a, b) => b[1] - a[1])
  if (held.length > 0) {
    const [name, jobs] = held[0]!
    return {
      level: 'trouble', says: says.held(count(jobs), jobs === 1, called(name)), more: heldMore(breakers.find((one) => one.name === name), now), repair: { kind: 'breaker', name },
    }
  }
  if (row.paused) {
    return { level: 'watch', says: says.paused, more: waiting ? line : says.nothingWaits, repair: { kind: 'resume' } }
  }
  if (waiting > 0 && row.workers === 0) {
    return { level: 'trouble', says: says.unserved, more: says.unservedMore(line) }
  }
  if (row.unknownNames.length > 0) {
    return { level: 'watch', says: says.unknown(row.unknownNames.join(', ')), more: says.unknownMore }
  }
  if (!behind) return null
  if (settings && settings.rateLimitedFor > 0) {
    return { level: 'watch', says: says.limited, more: says.limitedMore(line, duration(settings.rateLimitedFor)) }
  }
  if (settings?.concurrency != null && active >= settings.concurrency) {
    return { level: 'watch', says: says.full(count(settings.concurrency)), more: line }
  }
  const { arrived, windowSeconds, perSecond } = row.recent
  const coming = arrived / windowSeconds
  if (coming > perSecond * 1.05) {
    return { level: 'trouble', says: says.growing(fixed(coming), fixed(perSecond)), more: says.growingMore(line) }
  }
  return { level: 'trouble', says: says.behind, more: says.behindMore(line, row.drainSeconds == null ? '' : duration(row.drainSeconds)) }
}

function heldMore(breaker: Breaker | undefined, now: number): string {
  if (!breaker) return says.heldMore
  const met = breaker.since == null || !breaker.reason ? '' : says.met(clock(breaker.since), breaker.reason)
  const probe = breaker.state === 'half-open' ? says.probing : breaker.nextProbe == null || breaker.nextProbe <= now ? '' : says.probe(duration(Math.ceil(breaker.nextProbe - now)))
  return [met, says.heldMore, probe].filter(Boolean).join(' ')
}

const fixed = (value: number) => (value < 10 ? value.toFixed(1) : count(value))
