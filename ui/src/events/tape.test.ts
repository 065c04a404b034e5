import { expect, test } from 'vitest'
import { append, type Batch, EMPTY, KEPT, type QueueEvent, release, take } from './tape'

const event = (id: number, kind = 'active'): QueueEvent => ({ id: `${id}-0`, queue: 'q', kind, at: id, job: '1', name: null, facts: {}, detail: null, redacted: false })
const batch = (ids: number[], more: Partial<Batch> = {}): Batch => ({ at: 1, events: ids.map((id) => event(id)), left: {}, missed: [], away: false, ...more })
const shown = (tape: { rows: { key: string }[] }) => tape.rows.map((row) => row.key)

test('the newest are first, and none is there twice', () => {
  const tape = take(take(EMPTY, batch([1, 2]), false), batch([2, 3]), false)
  expect(shown(tape)).toEqual(['q 3-0', 'q 2-0', 'q 1-0'])
})

test('while it is held new ones wait aside, counted with what was left out', () => {
  const tape = take(take(EMPTY, batch([1]), false), batch([2, 3], { left: { active: 40 } }), true)
  expect(shown(tape)).toEqual(['q 1-0'])
  expect(tape.waiting).toBe(42)
  expect(shown(release(tape))).toEqual(['q 3-0', 'q 2-0', 'l0', 'q 1-0'])
  expect(release(tape).waiting).toBe(0)
})

test('what is missing has a row of its own, before what came after it', () => {
  const tape = take(EMPTY, batch([5], { missed: [{ queue: 'q', count: 47 }] }), false)
  expect(tape.rows.map((row) => row.type)).toEqual(['event', 'missed'])
})

test('it keeps a bounded number, held or not; older ones are added on demand', () => {
  const many = Array.from({ length: KEPT + 50 }, (_, at) => at + 1)
  expect(take(EMPTY, batch(many), false).rows).toHaveLength(KEPT)
  expect(take(EMPTY, batch(many), true).aside).toHaveLength(KEPT)
  expect(shown(append(take(EMPTY, batch([9]), false), [event(8)]))).toEqual(['q 9-0', 'q 8-0'])
})

test('a batch without anything changes nothing', () => {
  expect(take(EMPTY, batch([]), false)).toBe(EMPTY)
})
