// What a waiting parent waits for, in a sentence. Pure.
import type { components } from '../api/schema'
import { count } from '../format'
import { texts } from '../texts'
import { childrenOf } from './tree'

export type WaitingRow = components['schemas']['WaitingRow']

/** "Waits for 3 of 12 children: print in pages runs." Of the states, those that the sample shows, each once. */
export function waitsFor(row: WaitingRow): string {
  const t = texts.flows
  if (row.stuck) {
    const faults = row.stuck.children.length
    return (t.inVain[row.stuck.reason] ?? t.inVain['nothing_pending']!)(faults, faults >= 10 ? `${faults}+` : count(faults))
  }
  const states = [...new Set(row.some.map((child) => t.oneIs(child.name || child.id, child.queue, t.stateOf[child.status] ?? child.status)))]
  return t.waitsFor(count(row.pending), count(childrenOf(row)), states.slice(0, 2).join(', '))
}

export const repairOf = (row: WaitingRow): string => (row.stuck ? (texts.flows.repair[row.stuck.reason] ?? '') : '')

/** Stuck ones first, then those that wait longest; each once. */
export function troubleFirst(rows: WaitingRow[]): WaitingRow[] {
  const once = new Map(rows.map((row) => [`${row.queue}:${row.id}`, row]))
  return [...once.values()].sort((a, b) => Number(b.stuck !== null) - Number(a.stuck !== null) || a.since - b.since)
}
