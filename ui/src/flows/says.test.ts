import { expect, test } from 'vitest'
import { repairOf, troubleFirst, waitsFor, type WaitingRow } from './says'

function row(more: Partial<WaitingRow> = {}): WaitingRow {
  return { queue: 'books', id: '1', name: 'bind', since: 100, parent: null, pending: 1, completed: 0, ignored: 0, failed: 0, some: [], stuck: null, ...more }
}

const child = (status: string, name = 'print') => ({
  queue: 'pages', id: 'c', name, status, parent: null, outcome: null, onFailure: null, pending: 0, completed: 0, ignored: 0, failed: 0,
  startedAt: null, finishedAt: null, failedReason: null, result: null, stuck: null,
})

test('it says how many of how many it waits for, and what those do, each once', () => {
  expect(waitsFor(row({ pending: 3, completed: 9, some: [child('active'), child('active'), child('waiting')] }))).toBe(
    'Waits for 3 of 12 children: print in pages runs, print in pages waits for a worker.',
  )
  expect(waitsFor(row({ some: [child('delayed')] }))).toBe('Waits for its only child: print in pages is delayed.')
  expect(waitsFor(row({ pending: 1, completed: 1 }))).toBe('Waits for 1 of 2 children.')
  expect(waitsFor(row({ pending: 1_500, completed: 0 }))).toBe('Waits for its 1,500 children.')
})

const stuck = (reason: string, n: number) =>
  row({ stuck: { reason, since: 100, children: Array.from({ length: n }, (_, at) => ({ queue: 'pages', id: String(at) })) } })

test('a stuck one says why, and what repairs it', () => {
  expect(waitsFor(stuck('child_failed', 1))).toBe('Stuck: one child failed, and no policy tells the parent.')
  expect(waitsFor(stuck('child_gone', 2))).toBe('Stuck: 2 children it waits for are gone.')
  expect(waitsFor(stuck('child_gone', 10))).toContain('10+ children')
  for (const reason of ['child_failed', 'child_gone', 'child_not_counted', 'child_left', 'nothing_pending']) {
    expect(waitsFor(stuck(reason, 1))).toMatch(/^Stuck: /)
    expect(repairOf(stuck(reason, 1))).not.toBe('')
  }
  expect(repairOf(row())).toBe('')
})

test('what is stuck comes first, then what waits longest; what came twice is there once', () => {
  const rows = [row({ id: 'young', since: 300 }), { ...stuck('child_gone', 1), id: 'stuck', since: 400 }, row({ id: 'old', since: 50 }), row({ id: 'young', since: 300 })]
  expect(troubleFirst(rows).map((one) => one.id)).toEqual(['stuck', 'old', 'young'])
})
