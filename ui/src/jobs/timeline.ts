// A job's life as its record tells it: added, waits, attempts, end, and what comes next. Attempts before the
// last have no times of their own: Redis keeps those of the last one alone.
import { duration } from '../format'
import type { GlyphName } from '../parts/Icon'
import type { JobView } from './api'

export interface Entry {
  key: string
  at: number | null
  glyph: GlyphName
  tone: string
  title: string
  says: string
  /** How long it took, in words. */
  took?: string
  /** Time that nobody worked on it: the line is dashed. */
  wait?: boolean
  chips?: string[]
  failure?: { errorType: string; reason: string | null; trace: string | null }
}

export interface Share {
  seconds: number
  kind: 'running' | 'delayed' | 'held' | 'waiting'
}

export function timeline(job: JobView, now = job.at): Entry[] {
  return [added(job), ...failedBefore(job), ...present(job, now)]
}

function added(job: JobView): Entry {
  const says = [
    job.parent && `child of ${job.parent.queue} ${job.parent.id}`,
    job.schedule && `by the schedule ${job.schedule}`,
    job.priority > 0 && `priority ${job.priority}`,
  ].filter(Boolean)
  const first = job.attemptsMade <= 1 && job.attemptsStarted <= 1 && job.startedAt != null && job.enqueuedAt != null
  return {
    key: 'added', at: job.enqueuedAt, glyph: 'plus', tone: 'is-waiting', title: 'Added', says: says.join(', '),
    ...(first ? { took: `waited ${duration(Math.max(0, job.startedAt! - job.enqueuedAt!))}` } : {}),
  }
}

/** Whether the times of the record are those of an attempt that failed. */
function lastFailed(job: JobView): boolean {
  return job.status === 'failed' || (job.status !== 'active' && job.status !== 'completed' && job.attemptsMade > 0)
}

/** When the last attempt ended: for one that is delayed since, Redis keeps it as the time from which it waits. */
function lastEnd(job: JobView): number | null {
  if (job.status === 'failed') return job.finishedAt
  if (job.status === 'delayed' && !job.held && job.due != null && job.delay > 0) return job.due - job.delay
  return null
}

function failedBefore(job: JobView): Entry[] {
  const failed = job.status === 'completed' ? job.attemptsMade - 1 : job.attemptsMade
  const told = job.failures.slice(-Math.max(0, failed))
  const untold = failed - told.length
  const entries = told.map((failure, n): Entry => {
    const last = n === told.length - 1 && lastFailed(job)
    const ended = lastEnd(job)
    return {
      key: `failed-${untold + n + 1}`,
      at: last ? job.startedAt : null,
      glyph: 'failed', tone: 'is-failed',
      title: `Attempt ${untold + n + 1}`,
      says: last && job.processedBy ? job.processedBy : '',
      ...(last && ended != null && job.startedAt != null ? { took: duration(Math.max(0, ended - job.startedAt)) } : {}),
      ...(last && job.status === 'delayed' ? { chips: progress(job) } : {}),
      failure: { errorType: failure.errorType, trace: failure.trace, reason: last ? job.failedReason : message(failure.trace) },
    }
  })
  if (untold <= 0) return entries
  const title = untold === 1 ? 'Attempt 1' : `Attempts 1 to ${untold}`
  return [{ key: 'untold', at: null, glyph: 'failed', tone: 'is-failed', title, says: 'failed; their traces are not kept' }, ...entries]
}

function progress(job: JobView): string[] {
  return typeof job.progress === 'number' && job.progress > 0 ? [`progress ${job.progress}\u00a0%`] : []
}

function present(job: JobView, now: number): Entry[] {
  const number = job.attemptsMade + 1
  const chips = [
    ...(job.stalled ? [`taken over from a dead worker ${job.stalled === 1 ? 'once' : `${job.stalled} times`}`] : []),
    ...(lastFailed(job) && job.status === 'delayed' ? [] : progress(job)),
  ]
  const next = (says: string): Entry => ({
    key: 'next', at: job.due, glyph: 'next', tone: 'quiet', title: `Attempt ${number}`, says, wait: true,
  })
  switch (job.status) {
    case 'active':
      return [{
        key: 'running', at: job.startedAt, glyph: 'active', tone: 'is-active', title: `Attempt ${number}`,
        says: job.processedBy ?? '', chips, took: job.startedAt == null ? undefined : `${duration(now - job.startedAt)} so far`,
      }]
    case 'completed': {
      const ran = job.finishedAt != null && job.startedAt != null ? duration(job.finishedAt - job.startedAt) : undefined
      return [
        {
          key: 'ran', at: job.startedAt, glyph: 'active', tone: 'is-active', title: `Attempt ${Math.max(1, job.attemptsMade)}`,
          says: job.processedBy ?? '', took: ran, chips,
        },
        { key: 'end', at: job.finishedAt, glyph: 'completed', tone: 'is-completed', title: 'Completed', says: '' },
      ]
    }
    case 'failed':
      return [{
        key: 'end', at: job.finishedAt, glyph: 'failed', tone: 'is-failed', chips,
        title: job.cancelled ? 'Cancelled' : 'Dead letter',
        says: job.cancelled ? (job.failedReason ?? '') : 'It is not tried again by itself.',
      }]
    case 'delayed':
      if (job.held) {
        return [
          {
            key: 'held', at: job.heldSince, glyph: 'held', tone: 'is-failed', title: 'Held', wait: true, chips,
            says: `${job.held}'s breaker is open; no attempt is spent`,
            took: job.heldSince == null ? undefined : `${duration(now - job.heldSince)} so far`,
          },
          { ...next('when the breaker closes'), at: null },
        ]
      }
      return [
        {
          key: 'delayed', at: job.due != null && job.delay > 0 ? job.due - job.delay : null, glyph: 'delayed', tone: 'is-delayed', title: 'Delayed', wait: true, chips,
          says: job.attemptsMade ? `before attempt ${number}` : 'it may not start yet', took: duration(job.delay),
        },
        next(''),
      ]
    case 'waiting-children':
      return [{
        key: 'children', at: null, glyph: 'children', tone: 'is-waiting', title: 'Waits for children', wait: true, chips,
        says: `${job.children.pending} of ${total(job)} still to end`,
      }]
    default:
      return [{
        key: 'waiting', at: null, glyph: 'waiting', tone: 'is-waiting', title: 'Waiting', says: job.attemptsMade ? `for attempt ${number}` : '', wait: true, chips,
        took: job.attemptsMade === 0 && job.enqueuedAt != null ? `${duration(now - job.enqueuedAt)} so far` : undefined,
      }]
  }
}

export function total(job: JobView): number {
  const { pending, completed, ignored, failed } = job.children
  return pending + completed + ignored + failed
}

/** How its time was spent, as far as the record tells. */
export function shares(job: JobView, now = job.at): Share[] {
  const from = job.enqueuedAt
  if (from == null) return []
  const end = job.finishedAt ?? now
  const started = job.startedAt
  const parts: Share[] = []
  if (started != null && (job.finishedAt != null || job.status === 'active')) {
    parts.push({ seconds: started - from, kind: 'waiting' }, { seconds: end - started, kind: 'running' })
  } else if (started != null && lastEnd(job) != null) {
    const ended = Math.max(started, lastEnd(job)!)
    parts.push({ seconds: started - from, kind: 'waiting' }, { seconds: ended - started, kind: 'running' }, { seconds: end - ended, kind: 'delayed' })
  } else if (job.held && job.heldSince != null) {
    parts.push({ seconds: job.heldSince - from, kind: 'waiting' }, { seconds: end - job.heldSince, kind: 'held' })
  } else {
    parts.push({ seconds: end - from, kind: job.status === 'delayed' ? 'delayed' : 'waiting' })
  }
  return parts.filter((part) => part.seconds > 0)
}

/** What the last line of a trace says after the class. */
export function message(trace: string | null): string | null {
  const line = trace?.trimEnd().split('\n').findLast((row) => row && !row.startsWith(' '))
  const cut = line?.indexOf(': ') ?? -1
  return cut < 0 ? null : line!.slice(cut + 2)
}

export interface StackLine {
  number: string
  text: string
  where?: string
  hot?: boolean
}

/** A Python trace as lines with their numbers, the place that raised it marked; another's line by line. */
export function stackLines(trace: string): StackLine[] {
  const rows = trace.trimEnd().split('\n')
  const lines: StackLine[] = []
  for (let n = 0; n < rows.length; n += 1) {
    const frame = /^ {2}File "(.+)", line (\d+), in (.+)$/.exec(rows[n]!)
    if (frame) {
      lines.push({ number: '', text: `${shortPath(frame[1]!)} in `, where: frame[3] })
      const code = rows[n + 1]?.startsWith('    ') ? rows[(n += 1)]!.trim() : ''
      lines.push({ number: frame[2]!, text: code })
    } else if (!rows[n]!.startsWith('Traceback ')) {
      lines.push({ number: '', text: rows[n]! })
    }
  }
  const frames = lines.findLastIndex((line) => line.number !== '')
  // The class and its message stand above the trace already.
  if (frames >= 0 && frames === lines.length - 2) lines.pop()
  const last = lines[frames]
  if (last) last.hot = true
  return lines
}

function shortPath(path: string): string {
  return path.split('/').slice(-3).join('/')
}
