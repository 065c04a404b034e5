import { expect, test } from 'vitest'
import { series, type StatsPage } from './series'

type Span = StatsPage['spans'][number]

function span(at: number, changes: Partial<Span> = {}): Span {
  return {
    at, seconds: 60, arrived: 0, started: 0, completed: 0, failed: 0, retried: 0, putBack: 0, stalled: 0, lostLocks: 0,
    reconnects: 0, waitP50: null, waitP95: null, waitP99: null, runP50: null, runP95: null, runP99: null, ...changes,
  }
}

test('counts become rates, and what nobody timed stays a gap', () => {
  const lines = series([span(0, { arrived: 120, completed: 30, failed: 30, runP95: 2 }), span(60)], 1, 120)
  expect(lines).toEqual({ at: [0, 60], arrived: [2, 0], ended: [1, 0], failed: [0.5, 0], wait: [null, null], run: [2, null] })
})

test('spans are folded, the slowest of them tells', () => {
  const lines = series([span(0, { completed: 60, waitP95: 1 }), span(60, { completed: 180, waitP95: 5 })], 2, 120)
  expect(lines.ended).toEqual([2])
  expect(lines.wait).toEqual([5])
})

test('the span that is under way counts for as long as it has lasted', () => {
  expect(series([span(0), span(60, { completed: 40 })], 1, 100).ended).toEqual([0, 1])
  expect(series([span(0), span(60, { completed: 40 })], 1, 70).at).toEqual([0])
})
