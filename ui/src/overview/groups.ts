// Queues whose names begin alike, as one row that opens; with how all of them do. Pure.
import { condition, type Condition, oldestOf, type OverviewQueue, queuedOf } from '../queues/trouble'

export interface Rolled {
  waiting: number
  active: number
  dead: number
  /** Of all, against each one's own objective the worst. */
  oldest: number
  objective: number
  arrives: number
  ends: number
  slots: number
  busy: number
  paused: boolean
  /** How the worst of them does, and which that is. */
  worst: { queue: string; condition: Condition }
}

export interface Group {
  prefix: string
  queues: OverviewQueue[]
  rolled: Rolled
}

export type Row = { kind: 'group'; group: Group; open: boolean } | { kind: 'queue'; queue: OverviewQueue; inGroup: boolean }

/** Between prefix and rest; a name cannot hold a colon. '' is no groups. */
export const DELIMITERS = ['-', '.', '_', '/']

/** With fewer queues than these the list is short enough as it is. */
export const WORTH_GROUPS = 12

/** What is remembered in the browser. `delimiter` null: nobody chose, so the number of queues decides. */
export interface Choice {
  delimiter: string | null
  closed: string[]
}

/** The chosen delimiter; else, of many queues, the one that makes most of them members of a group; '' for none. */
export function delimiterOf(names: string[], chosen: string | null): string {
  if (chosen !== null) return chosen
  if (names.length < WORTH_GROUPS) return ''
  const members = (delimiter: string) => {
    const sizes = new Map<string, number>()
    for (const name of names) {
      const prefix = prefixOf(name, delimiter)
      if (prefix) sizes.set(prefix, (sizes.get(prefix) ?? 0) + 1)
    }
    return [...sizes.values()].filter((size) => size > 1).reduce((all, size) => all + size, 0)
  }
  const best = DELIMITERS.reduce((a, b) => (members(b) > members(a) ? b : a))
  return members(best) > 0 ? best : ''
}

/** '' for a name without one. */
export function prefixOf(name: string, delimiter: string): string {
  const at = delimiter ? name.indexOf(delimiter) : -1
  return at > 0 ? name.slice(0, at) : ''
}

/** Rows in the order of `queues`, which is worst first: a group stands where its worst member would. */
export function rowsOf(queues: OverviewQueue[], delimiter: string, closed: string[]): Row[] {
  const members = new Map<string, OverviewQueue[]>()
  for (const queue of queues) {
    const prefix = prefixOf(queue.row.queue, delimiter)
    if (prefix) members.set(prefix, [...(members.get(prefix) ?? []), queue])
  }
  const rows: Row[] = []
  for (const queue of queues) {
    const prefix = prefixOf(queue.row.queue, delimiter)
    const mine = members.get(prefix)
    if (!mine || mine.length < 2) rows.push({ kind: 'queue', queue, inGroup: false })
    else if (mine[0] === queue) {
      const open = !closed.includes(prefix)
      rows.push({ kind: 'group', group: { prefix, queues: mine, rolled: rolled(mine) }, open })
      if (open) rows.push(...mine.map((one) => ({ kind: 'queue' as const, queue: one, inGroup: true })))
    }
  }
  return rows
}

function rolled(queues: OverviewQueue[]): Rolled {
  const sum = (of: (queue: OverviewQueue['row']) => number) => queues.reduce((all, { row }) => all + of(row), 0)
  const worst = queues[0]!
  const share = ({ row }: OverviewQueue) => oldestOf(row) / row.objective.age
  const oldest = queues.reduce((a, b) => (share(b) > share(a) ? b : a)).row
  return {
    waiting: sum((row) => queuedOf(row.states)),
    active: sum((row) => row.states['active'] ?? 0),
    dead: sum((row) => row.states['failed'] ?? 0),
    oldest: oldestOf(oldest),
    objective: oldest.objective.age,
    arrives: sum((row) => row.recent.arrived / row.recent.windowSeconds),
    ends: sum((row) => row.recent.perSecond),
    slots: sum((row) => row.slots),
    busy: sum((row) => row.busy),
    paused: queues.every(({ row }) => row.paused),
    worst: { queue: worst.row.queue, condition: condition(worst) },
  }
}
