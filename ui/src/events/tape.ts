// The rows of the page: the newest first, a bounded number; while somebody reads, new ones wait aside.
import type { components } from '../api/schema'

export type QueueEvent = components['schemas']['QueueEventRow']
export type Batch = components['schemas']['EventBatch']

export type Row =
  | { type: 'event'; key: string; event: QueueEvent }
  /** More came than was told, by kind. */
  | { type: 'left'; key: string; at: number; counts: Record<string, number> }
  /** Redis no longer had them; null: there may have been some. */
  | { type: 'missed'; key: string; at: number; queue: string; count: number | null }

export interface Tape {
  rows: Row[]
  /** What came while it was held, the newest first. */
  aside: Row[]
  /** Events that came while it was held, also those that were not told one by one. */
  waiting: number
  /** Numbers the rows that are no events. */
  serial: number
}

export const EMPTY: Tape = { rows: [], aside: [], waiting: 0, serial: 0 }

/** Rows that the page keeps: what is older is on the server. */
export const KEPT = 2_000

const keyOf = (event: QueueEvent) => `${event.queue} ${event.id}`

export function rowsOf(events: QueueEvent[]): Row[] {
  return events.map((event) => ({ type: 'event', key: keyOf(event), event }))
}

/** A batch on top, or aside while the tape is held. */
export function take(tape: Tape, batch: Batch, held: boolean): Tape {
  const told = new Set([...tape.aside, ...tape.rows].slice(0, KEPT).map((row) => row.key))
  const fresh = rowsOf(batch.events).filter((row) => !told.has(row.key))
  let serial = tape.serial
  const missed: Row[] = batch.missed.map(({ queue, count }) => ({ type: 'missed', key: `m${serial++}`, at: batch.at, queue, count }))
  const left: Row[] = sum(batch.left) > 0 ? [{ type: 'left', key: `l${serial++}`, at: batch.at, counts: batch.left }] : []
  const top = [...missed, ...left, ...fresh].reverse()
  if (top.length === 0) return tape
  if (held) return { ...tape, serial, aside: [...top, ...tape.aside].slice(0, KEPT), waiting: tape.waiting + fresh.length + sum(batch.left) }
  return { rows: [...top, ...tape.aside, ...tape.rows].slice(0, KEPT), aside: [], waiting: 0, serial }
}

/** What waits aside goes on top. */
export function release(tape: Tape): Tape {
  if (tape.aside.length === 0) return tape
  return { ...tape, rows: [...tape.aside, ...tape.rows].slice(0, KEPT), aside: [], waiting: 0 }
}

/** Older ones below. They may be more than KEPT: somebody asked for them. */
export function append(tape: Tape, events: QueueEvent[]): Tape {
  return { ...tape, rows: [...tape.rows, ...rowsOf(events)] }
}

export function sum(counts: Record<string, number>): number {
  return Object.values(counts).reduce((all, one) => all + one, 0)
}
