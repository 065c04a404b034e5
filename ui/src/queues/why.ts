// Why a queue is slow: one sentence, one that supports it, and what repairs it.
import type { components } from '../api/schema'
import { count, duration } from '../format'
import type { QueueSettings } from '../jobs/api'
import { called } from '../overview/providers'
import { waitingOf } from './trouble'

type QueueRow = components['schemas']['QueueRow']

export interface Slow {
  level: 'trouble' | 'watch'
  says: string
  more: string
  repair?: { kind: 'breaker'; name: string } | { kind: 'resume' }
}

/** Null: it is not slow. The cause that must be lifted first decides. */
export function slowBecause(row: QueueRow, settings: QueueSettings | undefined): Slow | null {
  const waiting = waitingOf(row.states)
  const active = row.states['active'] ?? 0
  const oldest = row.oldestWaitingSeconds ?? 0
  const behind = oldest > row.objective.age
  const line = `${count(waiting)} ${waiting === 1 ? 'job waits' : 'jobs wait'}${oldest ? `, the oldest for ${duration(oldest)}` : ''}.`
  const held = Object.entries(row.held).filter(([, jobs]) => jobs > 0).sort((a, b) => b[1] - a[1])
  if (held.length > 0) {
    const [name, jobs] = held[0]!
    return {
      level: 'trouble', says: `${jobs === 1 ? '1 job is' : `${count(jobs)} jobs are`} held because ${called(name)}’s breaker is open.`,
      more: 'They spend no attempt, and run again when it closes.', repair: { kind: 'breaker', name },
    }
  }
  if (row.paused) {
    return { level: 'watch', says: 'Nothing starts because the queue is paused.', more: waiting ? line : 'Nothing waits.', repair: { kind: 'resume' } }
  }
  if (waiting > 0 && row.workers === 0) {
    return { level: 'trouble', says: 'Nothing runs because no worker serves this queue.', more: `${line} Start a worker for it.` }
  }
  if (row.unknownNames.length > 0) {
    const names = row.unknownNames.join(', ')
    return { level: 'watch', says: `No worker knows ${names}.`, more: 'Jobs of these names wait for a day. Deploy a worker with a handler.' }
  }
  if (!behind) return null
  if (settings && settings.rateLimitedFor > 0) {
    return { level: 'watch', says: 'Slow because its rate limit is used up.', more: `${line} The next start is in ${duration(settings.rateLimitedFor)}.` }
  }
  if (settings?.concurrency != null && active >= settings.concurrency) {
    return { level: 'watch', says: `Slow because it runs as many jobs as it may: ${count(settings.concurrency)}.`, more: line }
  }
  const { arrived, windowSeconds, perSecond } = row.recent
  const coming = arrived / windowSeconds
  if (coming > perSecond * 1.05) {
    return {
      level: 'trouble', says: `Slow because more comes than goes: ${fixed(coming)} in, ${fixed(perSecond)} out a second.`,
      more: `${line} More workers or slots would help.`,
    }
  }
  const drained = row.drainSeconds == null ? '' : ` At this rate that takes ${duration(row.drainSeconds)}.`
  return { level: 'trouble', says: 'Behind, and catching up.', more: line + drained }
}

const fixed = (value: number) => (value < 10 ? value.toFixed(1) : count(value))
