// What an event is in words and with which sign. Colour only for what is worth a look.
import { clock, count, duration } from '../format'
import type { GlyphName } from '../parts/Icon'
import { texts } from '../texts'
import type { QueueEvent } from './tape'

interface Look {
  glyph: GlyphName
  tone: string
}

const LOOKS: Record<string, Look> = {
  added: { glyph: 'plus', tone: 'quiet' },
  waiting: { glyph: 'waiting', tone: 'quiet' },
  'waiting-children': { glyph: 'children', tone: 'quiet' },
  delayed: { glyph: 'delayed', tone: 'quiet' },
  active: { glyph: 'active', tone: 'quiet' },
  progress: { glyph: 'calm', tone: 'quiet' },
  completed: { glyph: 'completed', tone: 'quiet' },
  failed: { glyph: 'failed', tone: 'is-failed' },
  'retries-exhausted': { glyph: 'failed', tone: 'is-failed' },
  stalled: { glyph: 'alert', tone: 'is-limited' },
  paused: { glyph: 'paused', tone: 'is-paused' },
  resumed: { glyph: 'active', tone: 'quiet' },
  removed: { glyph: 'next', tone: 'quiet' },
}

/** Kinds that the filter offers; a producer's own can be typed. */
export const KINDS = [
  'added', 'waiting', 'delayed', 'active', 'progress', 'completed', 'failed', 'retries-exhausted', 'stalled',
  'waiting-children', 'removed', 'duplicated', 'deduplicated', 'paused', 'resumed', 'drained', 'cleaned',
]

export function look(kind: string): Look {
  return LOOKS[kind] ?? { glyph: kind in texts.events.kinds ? 'calm' : 'deploy', tone: 'quiet' }
}

/** The kind alone, as the filter calls it. */
export function kindName(kind: string): string {
  return texts.events.kinds[kind as keyof typeof texts.events.kinds] ?? kind
}

/** What happened. */
export function says({ kind, at, facts }: QueueEvent): string {
  const { waitingAfter, delayedBy, cleaned } = texts.events
  const from = facts['prev'] as keyof typeof waitingAfter | undefined
  if (kind === 'waiting' && from && from in waitingAfter) return waitingAfter[from]
  const until = delayedUntil({ kind, facts })
  if (until !== null && until > at) return delayedBy(duration(until - at))
  if (kind === 'cleaned' && facts['count']) return cleaned(count(Number(facts['count'])), Number(facts['count']))
  return kindName(kind)
}

/** When a delayed job is due, in epoch seconds. */
function delayedUntil({ kind, facts }: Pick<QueueEvent, 'kind' | 'facts'>): number | null {
  const due = Number(facts['delay']) / 1000
  return kind === 'delayed' && due > 0 ? due : null
}

/** What its detail is: a reason is text, all else JSON; of a delay when it is over. */
export function detail({ kind, detail, facts }: QueueEvent): string {
  const until = delayedUntil({ kind, facts })
  if (until !== null) return texts.events.until(clock(until))
  if (detail === null) return ''
  if (kind === 'failed') return detail
  if (kind === 'progress' && /^\d+(\.\d+)?$/.test(detail)) return `${detail}\u00a0%`
  return detail
}
