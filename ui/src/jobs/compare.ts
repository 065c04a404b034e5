// Two runs of a job side by side: what differs.
import { duration } from '../format'
import { texts } from '../texts'
import type { Moments, JobRun } from './api'
import { stackLines } from './stack'

const says = texts.job

export interface Row {
  name: string
  older: string
  newer: string
  differs: boolean
}

export function compare(older: JobRun, newer: JobRun, clockOf: (at: number) => string): Row[] {
  const row = (name: string, of: (run: JobRun) => string): Row => {
    const [a, b] = [of(older), of(newer)]
    return { name, older: a || says.none, newer: b || says.none, differs: a !== b }
  }
  const { rows } = says
  return [
    row(rows.outcome, (run) => says.outcomes[run.outcome]),
    { ...row(rows.start, (run) => (run.startedAt == null ? '' : clockOf(run.startedAt))), differs: false },
    row(rows.duration, (run) => (run.startedAt == null || run.endedAt == null ? '' : duration(run.endedAt - run.startedAt))),
    row(rows.worker, (run) => run.worker),
    row(rows.error, (run) => run.errorType.split('.').at(-1) ?? ''),
    row(rows.message, (run) => run.message ?? ''),
  ]
}

/** Whether the data was edited between two runs: the audit entry that says so. */
export function editBetween(older: JobRun, newer: JobRun, changes: Moments['changes']) {
  const from = older.startedAt ?? 0
  const to = newer.startedAt ?? Infinity
  return changes.find((change) => change.at >= from && change.at <= to && ('dataBytes' in change.facts || change.action === 'dead.edit'))
}

export interface TraceLine {
  text: string
  sign: ' ' | '-' | '+'
}

/** The lines of two traces as one list: what is in both, in the older alone, in the newer alone. */
export function traceDiff(older: string, newer: string): TraceLine[] {
  const lines = (trace: string) => stackLines(trace).map((line) => `${line.number.padStart(4)} ${line.text}${line.where ?? ''}`)
  const [a, b] = [lines(older), lines(newer)]
  // Longest common part by the usual table: traces are at most some hundred lines.
  const table = Array.from({ length: a.length + 1 }, () => new Array<number>(b.length + 1).fill(0))
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let k = b.length - 1; k >= 0; k -= 1) {
      table[i]![k] = a[i] === b[k] ? table[i + 1]![k + 1]! + 1 : Math.max(table[i + 1]![k]!, table[i]![k + 1]!)
    }
  }
  const found: TraceLine[] = []
  let [i, k] = [0, 0]
  while (i < a.length || k < b.length) {
    if (i < a.length && k < b.length && a[i] === b[k]) {
      found.push({ text: a[i]!, sign: ' ' })
      i += 1
      k += 1
    } else if (k >= b.length || (i < a.length && table[i + 1]![k]! >= table[i]![k + 1]!)) {
      found.push({ text: a[i]!, sign: '-' })
      i += 1
    } else {
      found.push({ text: b[k]!, sign: '+' })
      k += 1
    }
  }
  return found
}
