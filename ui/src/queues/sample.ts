// Queues as the server tells them, for tests.
import type { OverviewQueue, QueueRow } from './trouble'

export const RECENT: QueueRow['recent'] = {
  windowSeconds: 300, arrived: 0, completed: 0, failed: 0, cancelled: 0, retried: 0, stalled: 0, failureRate: 0, perSecond: 0,
  waitP50: null, waitP95: null, waitP99: null, runP50: null, runP95: null, runP99: null,
}

/** A queue that keeps up, but for what is said. */
export function queueRow(queue: string, changes: Partial<QueueRow> = {}): QueueRow {
  return {
    queue, paused: false, states: { waiting: 0, active: 1 }, held: {}, oldestWaitingSeconds: null, drainSeconds: 0, workers: 1,
    recent: RECENT, names: {}, unknownNames: [], lateSchedules: {}, heldSeconds: 0, rateLimitedSeconds: 0, objective: { age: 60, drain: 30 },
    slots: 10, busy: 1, ...changes,
  }
}

export function overviewQueue(queue: string, changes: Partial<QueueRow> = {}): OverviewQueue {
  return { row: queueRow(queue, changes), arrived: [], ended: [], waiting: [] }
}
