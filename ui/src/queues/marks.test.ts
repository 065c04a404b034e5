import { expect, test } from 'vitest'
import { type Change, marksOf, named } from './marks'

const change = (at: number, kind: Change['kind'], what: string, subject = '', changes: Partial<Change> = {}): Change => ({
  at, kind, what, subject, detail: '', severity: '', before: null, after: null, ...changes,
})

const CHANGES = [
  change(50, 'resolved', 'Jobs wait too long', 'kyc'),
  change(40, 'fired', 'Jobs wait too long', 'kyc'),
  change(35, 'fired', 'A breaker is open', 'onfido'),
  change(30, 'deploy', 'shop@2.14.0'),
  change(20, 'scaling', 'host-1', 'images', { before: 3, after: 5 }),
  change(10, 'audit', 'queue.pause', 'kyc'),
]

test('deploys, scaling and alerts that fired are marks, oldest first', () => {
  expect(marksOf(CHANGES).map((mark) => [mark.at, mark.kind, mark.name, mark.says])).toEqual([
    [20, 'scaling', '3 → 5 workers', '3 → 5 workers for images'],
    [30, 'deploy', '2.14.0', 'Deploy 2.14.0'],
    [35, 'alert', 'A breaker is open', 'Alert: A breaker is open, onfido'],
    [40, 'alert', 'Jobs wait too long', 'Alert: Jobs wait too long, kyc'],
  ])
})

test('of one queue: its own alerts, those of what holds it, and every deploy', () => {
  const at = (name: string, held = {}) => marksOf(CHANGES, { name, held }).map((mark) => mark.at)
  expect(at('kyc', { onfido: 3 })).toEqual([30, 35, 40])
  expect(at('images')).toEqual([20, 30])
})

test('alerts are kept before deploys when there are too many', () => {
  const many = [change(1, 'fired', 'Late', 'a'), ...Array.from({ length: 30 }, (_, n) => change(100 + n, 'deploy', `v${n}`))]
  const marks = marksOf(many)
  expect(marks).toHaveLength(12)
  expect(marks[0]).toMatchObject({ at: 1, kind: 'alert' })
})

test('no name stands over another: alerts first, then the newest', () => {
  const name = (from: number, kind: 'alert' | 'deploy' = 'deploy') => ({ from, to: from + 80, kind })
  expect(named([name(0), name(10), name(200)])).toEqual([false, true, true])
  expect(named([name(0, 'alert'), name(10), name(95)])).toEqual([true, false, true])
  expect(named([name(0, 'alert'), name(10, 'alert'), name(60)])).toEqual([false, true, false])
})
