import { expect, test } from 'vitest'
import { type DepthRow, folded, series, some, type StatsPage } from './series'

type Span = StatsPage['spans'][number]

function span(at: number, changes: Partial<Span> = {}): Span {
  return {
    at, seconds: 60, arrived: 0, started: 0, completed: 0, failed: 0, cancelled: 0, retried: 0, putBack: 0, stalled: 0, lostLocks: 0,
    reconnects: 0, waitP50: null, waitP95: null, waitP99: null, runP50: null, runP95: null, runP99: null, ...changes,
  }
}

const depth = (at: number, waiting: number): DepthRow => ({ at, waiting, active: 0, delayed: 1, held: 2, failed: 0, oldestSeconds: waiting / 10 })

test('counts become rates, and what nobody timed or saw stays a gap', () => {
  const lines = series([span(0, { arrived: 120, completed: 30, failed: 30, runP95: 2 }), span(60)], [depth(60, 40)], 1, 120)
  expect(lines).toEqual({
    at: [0, 60], arrived: [2, 0], ended: [1, 0], failed: [0.5, 0], wait: [null, null], run: [2, null],
    waiting: [null, 40], delayed: [null, 1], held: [null, 2], oldest: [null, 4],
  })
})

test('an empty queue that was seen is zero, and no gap', () => {
  expect(series([span(0)], [depth(0, 0)], 1, 120).waiting).toEqual([0])
})

test('spans are folded, the slowest and the deepest of them tell', () => {
  const lines = series([span(0, { completed: 60, waitP95: 1 }), span(60, { completed: 180, waitP95: 5 })], [depth(0, 900), depth(60, 3)], 2, 120)
  expect(lines.ended).toEqual([2])
  expect(lines.wait).toEqual([5])
  expect(lines.waiting).toEqual([900])
  expect(folded([1, null, 5, null, null, null, 7], 3)).toEqual([5, null, 7])
  expect(folded([1, null], 1)).toEqual([1, null])
})

test('the span that is under way counts for as long as it has lasted', () => {
  expect(series([span(0), span(60, { completed: 40 })], [], 1, 100).ended).toEqual([0, 1])
  expect(series([span(0), span(60, { completed: 40 })], [], 1, 70).at).toEqual([0])
})

test('some: a line with something on it', () => {
  expect([some([null, 0]), some([null, 0.1])]).toEqual([false, true])
})
