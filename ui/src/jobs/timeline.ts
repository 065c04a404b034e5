// A job's life in the order it happened: added, runs and the waits between them, what people changed, what comes
// next. Runs come from the job's own history; events and changes of `moments` fill in what it does not hold.
import { duration } from '../format'
import type { GlyphName } from '../parts/Icon'
import { called } from '../overview/providers'
import { texts } from '../texts'
import type { JobView, Moments, JobRun } from './api'
import { message } from './stack'

const says = texts.job

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
  notSpent?: boolean
  chips?: string[]
  failure?: { errorType: string; reason: string | null; trace: string | null; against?: string }
  /** Opens its trace by itself. */
  newest?: boolean
}

export type Kind = 'running' | 'delayed' | 'held' | 'waiting'

export interface Share {
  seconds: number
  kind: Kind
}

const FAILED = new Set(['failed', 'dead', 'cancelled'])

export function timeline(job: JobView, now = job.at, moments?: Moments): Entry[] {
  const entries = [added(job), ...notKept(job), ...past(job, now, moments), ...present(job, now, moments)]
  return moments ? withChanges(entries, moments) : entries
}

function added(job: JobView): Entry {
  const parts = [
    job.parent && says.childOf(job.parent.queue, job.parent.id),
    job.schedule && says.bySchedule(job.schedule),
    job.priority > 0 && says.priority(job.priority),
  ].filter(Boolean)
  const first = job.runs[0]
  const waited = first && unkept(job) === 0 && first.startedAt != null && job.enqueuedAt != null ? first.startedAt - job.enqueuedAt : null
  return {
    key: 'added', at: job.enqueuedAt, glyph: 'plus', tone: 'is-waiting', title: says.titles.added, says: parts.join(', '),
    ...(waited == null ? {} : { took: says.waited(Math.max(0, waited)) }),
  }
}

/** Runs that were and that nothing tells of. A retry by hand counts starts anew, so this may be too few. */
function unkept(job: JobView): number {
  const failed = job.status === 'completed' ? job.attemptsMade - 1 : job.attemptsMade
  const first = job.runs[0]
  const known = job.runs.filter((run) => run.spent && run.outcome !== 'completed').length
  return first?.number != null ? first.number - 1 : Math.max(0, failed - known)
}

function notKept(job: JobView): Entry[] {
  const n = unkept(job)
  if (n <= 0) return []
  return [{ key: 'untold', at: null, glyph: 'next', tone: 'quiet', title: says.titles.earlier, says: says.notKept(n) }]
}

function past(job: JobView, now: number, moments?: Moments): Entry[] {
  const found: Entry[] = []
  job.runs.forEach((run, n) => {
    const before = job.runs.slice(0, n).findLast((one) => one.errorType !== '')
    found.push(ran(job, run, n, now, before, moments))
    const next = job.runs[n + 1]
    const gap = next && between(run, next, n)
    if (gap) found.push(gap)
  })
  return found
}

const LOOKS: Record<JobRun['outcome'], { glyph: GlyphName; tone: string }> = {
  running: { glyph: 'active', tone: 'is-active' }, completed: { glyph: 'active', tone: 'is-active' },
  failed: { glyph: 'failed', tone: 'is-failed' }, dead: { glyph: 'failed', tone: 'is-failed' }, died: { glyph: 'failed', tone: 'is-failed' },
  cancelled: { glyph: 'failed', tone: 'is-failed' }, held: { glyph: 'failed', tone: 'is-failed' }, snoozed: { glyph: 'active', tone: 'is-delayed' },
  signal: { glyph: 'active', tone: 'is-delayed' }, stopped: { glyph: 'paused', tone: 'is-waiting' }, children: { glyph: 'children', tone: 'is-waiting' },
  back: { glyph: 'next', tone: 'is-waiting' },
}

function ran(job: JobView, run: JobRun, n: number, now: number, before: JobRun | undefined, moments?: Moments): Entry {
  const newest = n === job.runs.length - 1
  const why = {
    stopped: says.workerStopped, died: says.workerDied, children: says.leftForChildren, back: says.wentBack,
  }[run.outcome as string]
  const end = run.outcome === 'running' ? now : run.endedAt
  const took = run.startedAt == null || end == null ? undefined : Math.max(0, end - run.startedAt)
  const failed = FAILED.has(run.outcome) || run.outcome === 'held'
  return {
    key: `run-${n}`,
    at: run.startedAt,
    ...LOOKS[run.outcome],
    title: says.titles.attempt(run.number),
    says: [run.worker, why, run.startedAt == null && says.noTimes].filter(Boolean).join(' · '),
    ...(took == null ? {} : { took: run.outcome === 'running' ? says.tookSoFar(took) : duration(took) }),
    notSpent: !run.spent && run.outcome !== 'running',
    chips: chips(job, run, newest, moments),
    newest,
    ...(failed
      ? {
          failure: {
            errorType: run.errorType,
            reason: run.message || message(run.trace) || (job.redacted ? null : ''),
            trace: run.trace,
            ...(before && job.runs[n - 1] === before ? { against: against(before, run) } : {}),
          },
        }
      : {}),
  }
}

/** Whether an error is that of the failure before it. */
function against(before: JobRun, run: JobRun): string | undefined {
  if (!before.errorType) return undefined
  if (before.errorType !== run.errorType) return says.otherError
  return run.message != null && before.message === run.message ? says.asBefore : undefined
}

/** Its progress, checkpoint and time-out. */
function chips(job: JobView, run: JobRun, newest: boolean, moments?: Moments): string[] {
  const values = progressWithin(run, moments)
  if (values.length === 0 && newest && typeof job.progress === 'number' && job.progress > 0) values.push(job.progress)
  const names = newest ? checkpoints(job) : []
  return [
    ...(newest && job.stalled > 0 && run.outcome === 'running' ? [says.takenOver(job.stalled)] : []),
    ...(names.length === 0 ? [] : [run.outcome === 'running' && job.runs.length > 1 ? says.resumes(names) : says.checkpoint(names)]),
    ...(values.length > 0 ? [says.progress(values)] : []),
  ]
}

const SHOWN_VALUES = 5

/** The numbers reported while a run lasted, without repeats, the last ones. */
function progressWithin(run: JobRun, moments?: Moments): number[] {
  if (!moments || run.startedAt == null) return []
  const until = run.endedAt ?? Infinity
  const values = moments.events
    .filter((event) => event.name === 'progress' && typeof event.progress === 'number' && event.at >= run.startedAt! && event.at <= until + 0.001)
    .map((event) => event.progress as number)
  return values.filter((value, n) => value !== values[n - 1]).slice(-SHOWN_VALUES)
}

function checkpoints(job: JobView): string[] {
  const kept = job.checkpoint
  return kept !== null && typeof kept === 'object' && !Array.isArray(kept) ? Object.keys(kept).slice(0, SHOWN_VALUES) : []
}

interface Looks {
  glyph: GlyphName
  tone: string
  title: string
  says: string
}

/** What a job does after such a run, until it runs again. */
function afterwards(run: JobRun): Looks {
  const delayed = { glyph: 'delayed', tone: 'is-delayed' } as const
  switch (run.outcome) {
    case 'snoozed':
      return { ...delayed, title: says.titles.snoozed, says: run.wait == null ? '' : says.askedWait(run.wait) }
    case 'signal':
      return { ...delayed, title: says.titles.signal, says: says.signalNamed(run.message ?? '') }
    case 'held':
      return { glyph: 'held', tone: 'is-failed', title: says.titles.held, says: says.breakerWas }
    case 'died':
      return { glyph: 'waiting', tone: 'is-waiting', title: says.titles.died, says: '' }
    case 'children':
      return { glyph: 'children', tone: 'is-waiting', title: says.titles.children, says: '' }
    case 'failed':
      if (run.wait) return { ...delayed, title: says.titles.delayed, says: says.retryWait(run.wait) }
  }
  return { glyph: 'waiting', tone: 'is-waiting', title: says.titles.waiting, says: '' }
}

/** A wait shorter than this is no entry of its own. */
const NOTICED_SECONDS = 0.05

function between(run: JobRun, next: JobRun, n: number): Entry | null {
  if (run.endedAt == null || next.startedAt == null) return null
  const seconds = next.startedAt - run.endedAt
  if (seconds < NOTICED_SECONDS && !run.wait) return null
  return { key: `wait-${n}`, at: run.endedAt, wait: true, ...afterwards(run), took: duration(Math.max(0, seconds)) }
}

function present(job: JobView, now: number, moments?: Moments): Entry[] {
  const number = job.attemptsMade + 1
  const last = job.runs.at(-1)
  const next = (what: string, at: number | null = job.due): Entry => ({
    key: 'next', at, glyph: 'next', tone: 'quiet', title: last && !last.spent ? says.titles.goesOn(number) : says.titles.attempt(number), says: what, wait: true,
  })
  const since = (at: number | null | undefined) => (at == null ? {} : { at, took: says.tookSoFar(Math.max(0, now - at)) })
  const shown = (entry: Omit<Entry, 'key' | 'at'>): Entry => ({ key: 'present', at: null, wait: true, ...entry })
  switch (job.status) {
    case 'active':
      return []
    case 'completed':
      return [{ key: 'end', at: job.finishedAt, glyph: 'completed', tone: 'is-completed', title: says.titles.completed, says: '' }]
    case 'failed':
      return [{
        key: 'end', at: job.finishedAt, glyph: 'failed', tone: 'is-failed',
        title: job.cancelled ? says.titles.cancelled : says.titles.dead, says: job.cancelled ? (job.failedReason ?? '') : says.notAgain,
      }]
    case 'delayed': {
      if (job.held) {
        return [
          { ...shown({ glyph: 'held', tone: 'is-failed', title: says.titles.held, says: says.breakerOpen(called(job.held)) }), ...since(last?.endedAt ?? job.heldSince) },
          next(says.whenBreakerCloses, null),
        ]
      }
      const from = delayedFrom(job)
      if (job.signal && last?.outcome === 'signal') {
        const looks = { ...afterwards(last), title: says.titles.waitsSignal, says: job.signal.name }
        return [{ ...shown(looks), ...since(from) }, next(says.whenSignal)]
      }
      const looks = last && last.endedAt != null && last.wait != null ? afterwards(last) : {
        glyph: 'delayed' as const, tone: 'is-delayed', title: says.titles.delayed, says: job.attemptsMade ? says.beforeAttempt(number) : says.mayNotStart,
      }
      return [{ ...shown(looks), at: from, ...(job.delay > 0 ? { took: duration(job.delay) } : {}) }, next('')]
    }
    case 'waiting-children':
      return [{ ...shown({ glyph: 'children', tone: 'is-waiting', title: says.titles.children, says: says.childrenLeft(job.children.pending, total(job)) }), ...since(eventAt(moments, 'waiting-children')) }]
    default:
      return [{
        ...shown({ glyph: 'waiting', tone: 'is-waiting', title: says.titles.waiting, says: last ? says.forAttempt(number) : '' }),
        ...since(waitingFrom(job, moments)),
      }]
  }
}

/** Since when a delayed job is: Redis keeps when it is due and for how long it was put off. */
function delayedFrom(job: JobView): number | null {
  const last = job.runs.at(-1)
  if (last?.endedAt != null) return last.endedAt
  return job.due != null && job.delay > 0 ? job.due - job.delay : null
}

/** Since when it is in line: its event says, else the end of the run before; null: neither is known. */
function waitingFrom(job: JobView, moments?: Moments): number | null {
  const last = job.runs.at(-1)
  return eventAt(moments, 'waiting') ?? (last ? (last.wait ? null : last.endedAt) : job.enqueuedAt)
}

function eventAt(moments: Moments | undefined, name: string): number | null {
  return moments?.events.findLast((event) => event.name === name)?.at ?? null
}

/** What people did, each at its place. */
function withChanges(entries: Entry[], moments: Moments): Entry[] {
  const found = [...entries]
  for (const change of moments.changes) {
    const title = says.actions[change.action]
    if (!title || change.action === 'job.add') continue
    const later = found.findIndex((entry) => entry.key === 'next' || (entry.at == null ? entry.key === 'present' : entry.at > change.at))
    found.splice(later < 0 ? found.length : later, 0, {
      key: `change-${change.id}`, at: change.at, glyph: 'calm', tone: 'quiet', title,
      says: says.changed(facts(change.facts), change.actor.replace(/^(user|key|cli):/, '')),
    })
  }
  return found
}

function facts(of: Record<string, unknown>): string[] {
  return [
    ...('priority' in of ? [says.newPriority(of['priority'])] : []),
    ...('delay' in of ? [says.newDelay(of['delay'])] : []),
    ...('dataBytes' in of ? [says.newData] : []),
    ...('new' in of ? [says.asJob(of['new'])] : []),
  ]
}

export function total(job: JobView): number {
  const { pending, completed, ignored, failed } = job.children
  return pending + completed + ignored + failed
}

const WAITS: Partial<Record<JobRun['outcome'], Kind>> = { held: 'held', failed: 'delayed', snoozed: 'delayed', signal: 'delayed' }

/** How its time was spent, from one moment to the next, as far as it is known. */
export function shares(job: JobView, now = job.at): Share[] {
  if (job.enqueuedAt == null) return []
  const end = job.finishedAt ?? now
  const parts: Share[] = []
  let at = job.enqueuedAt
  let waits: Kind = 'waiting'
  let most = Infinity // seconds of that kind, the rest is in line
  const to = (until: number, kind: Kind) => {
    if (until > at) parts.push({ seconds: until - at, kind })
    at = Math.max(at, until)
  }
  const wait = (until: number) => {
    to(Math.min(until, at + most), waits)
    to(until, 'waiting')
  }
  for (const run of job.runs) {
    if (run.startedAt == null) continue
    wait(run.startedAt)
    to(run.outcome === 'running' ? end : (run.endedAt ?? run.startedAt), 'running')
    waits = WAITS[run.outcome] ?? 'waiting'
    most = waits === 'held' ? Infinity : (run.wait ?? (waits === 'waiting' ? Infinity : 0))
  }
  if (job.held && job.runs.length === 0 && job.heldSince != null) to(job.heldSince, 'waiting')
  if (job.status === 'delayed') to(end, job.held ? 'held' : 'delayed')
  else wait(end)
  return parts
}

/** Seconds of each kind, in the order they first come. */
export function sums(parts: Share[]): Share[] {
  const found = new Map<Kind, number>()
  for (const { kind, seconds } of parts) found.set(kind, (found.get(kind) ?? 0) + seconds)
  return [...found].map(([kind, seconds]) => ({ kind, seconds }))
}
