// What a list shows of a job, by the state it is in.
import { duration } from '../format'
import { texts } from '../texts'
import type { JobRow } from './api'

export interface Columns {
  /** The wide one in the middle. */
  main: 'data' | 'error'
  /** Between it and the times. */
  extra: ('priority' | 'attempts' | 'worker' | 'progress')[]
  /** The heads of the moment and of the span. */
  when: string
  lasts: string
}

const c = texts.joblist.columns
const COLUMNS: Record<string, Columns> = {
  waiting: { main: 'data', extra: ['priority', 'attempts'], when: c.since, lasts: c.waiting },
  active: { main: 'data', extra: ['worker', 'progress', 'attempts'], when: c.started, lasts: c.running },
  delayed: { main: 'data', extra: ['priority', 'attempts'], when: c.runsAt, lasts: c.startsIn },
  'waiting-children': { main: 'data', extra: ['attempts'], when: c.added, lasts: c.waiting },
  completed: { main: 'data', extra: ['attempts'], when: c.finished, lasts: c.took },
  failed: { main: 'error', extra: ['attempts'], when: c.failed, lasts: c.took },
}

export const columnsOf = (state: string): Columns => COLUMNS[state] ?? COLUMNS['waiting']!

/** A moment (epoch seconds) and a span in words. at: now. */
export function times(job: JobRow, state: string, at: number): [number | null, string] {
  const between = (from: number | null, to: number | null) => (from == null || to == null ? '–' : duration(Math.max(0, to - from)))
  switch (state) {
    case 'active':
      return [job.startedAt, between(job.startedAt, at)]
    case 'delayed':
      if (job.held) return [null, texts.joblist.held]
      return [job.due, job.due != null && job.due <= at ? texts.joblist.due : between(at, job.due)]
    case 'completed':
    case 'failed':
      return [job.finishedAt, between(job.startedAt, job.finishedAt)]
    default:
      return [job.enqueuedAt, between(job.enqueuedAt, at)]
  }
}

/** What else is worth to know of a job, in words; nothing of most. */
export function factsOf(job: JobRow, columns: Columns): string[] {
  const say = texts.joblist.facts
  return [
    job.priority && !columns.extra.includes('priority') ? say.priority(String(job.priority)) : '',
    job.group ? say.group(job.group) : '',
    job.lock ? say.lock(job.lock) : '',
    job.dedup ? say.dedup(job.dedup) : '',
    job.stalls ? say.stalls(String(job.stalls)) : '',
    job.starts > job.attemptsMade + 1 ? say.starts(String(job.starts)) : '',
  ].filter(Boolean)
}

/** Progress as a share of a hundred, where it is one. */
export function percentOf(progress: number | null): string {
  if (progress == null) return '–'
  return `${Math.round(progress)}\u00a0%`
}
