import { expect, test } from 'vitest'
import { overviewQueue as queue } from '../queues/sample'
import { delimiterOf, prefixOf, rowsOf } from './groups'

const shape = (rows: ReturnType<typeof rowsOf>) =>
  rows.map((row) => (row.kind === 'group' ? `${row.group.prefix} (${row.group.queues.length})` : `${row.inGroup ? '  ' : ''}${row.queue.row.queue}`))

test('a group stands where its worst member would, and one alone is no group', () => {
  const queues = ['mail-eu', 'kyc', 'mail-us', 'push-ios'].map((name) => queue(name))
  expect(shape(rowsOf(queues, '-', []))).toEqual(['mail (2)', '  mail-eu', '  mail-us', 'kyc', 'push-ios'])
  expect(shape(rowsOf(queues, '-', ['mail']))).toEqual(['mail (2)', 'kyc', 'push-ios'])
  expect(shape(rowsOf(queues, '', []))).toEqual(['mail-eu', 'kyc', 'mail-us', 'push-ios'])
})

test('counts are rolled up, and the worst is named', () => {
  const recent = { ...queue('x').row.recent, arrived: 300, perSecond: 2 }
  const [row] = rowsOf(
    [
      queue('mail-eu', { oldestWaitingSeconds: 90, states: { waiting: 5, held: 2, active: 1, failed: 3 }, recent, paused: true }),
      queue('mail-us', { oldestWaitingSeconds: 200, objective: { age: 400, drain: 30 }, states: { prioritized: 7, active: 4, failed: 1 }, recent, slots: 5, busy: 4 }),
    ],
    '-',
    [],
  )
  expect(row).toMatchObject({
    group: {
      rolled: {
        waiting: 14, active: 5, dead: 4, oldest: 90, objective: 60, arrives: 2, ends: 4, slots: 15, busy: 5, paused: false,
        worst: { queue: 'mail-eu', condition: { level: 'watch', says: 'Paused' } },
      },
    },
  })
})

test('few queues are not grouped unless somebody chose so; of many the commonest delimiter is taken', () => {
  const few = ['a-1', 'a-2', 'b-1']
  expect([delimiterOf(few, null), delimiterOf(few, '-'), delimiterOf(few, '')]).toEqual(['', '-', ''])
  const many = Array.from({ length: 14 }, (_, n) => (n < 9 ? `mail.${n}` : `push-${n}`))
  expect([delimiterOf(many, null), delimiterOf(many, '')]).toEqual(['.', ''])
  expect(delimiterOf(Array.from({ length: 14 }, (_, n) => `q${n}`), null)).toBe('')
})

test('a name that begins with the delimiter has no prefix', () => {
  expect([prefixOf('-odd', '-'), prefixOf('plain', '-'), prefixOf('a-b-c', '-')]).toEqual(['', '', 'a'])
})
