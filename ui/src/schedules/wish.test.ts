import { expect, test } from 'vitest'
import { draftOf, EMPTY, fieldOf, fits, onTheWall, read, type Schedule, seconds, typed, zones } from './wish'

const schedule: Schedule = {
  queue: 'q', id: 's', name: 'build', words: '', cron: null, every: 900, tz: 'UTC', offset: 60, start: 5, end: null,
  limit: 3, iterations: 1, nextRun: null, lastRun: null, lateSeconds: null, missed: 0, paused: false, last: null,
}

test('how often, as it is typed', () => {
  expect(['90', '90 s', '15m', '1.5h', '1d', '1w'].map(seconds)).toEqual([90, 90, 900, 5400, 86_400, 604_800])
  expect(['', 'm', '15 min', '-5', '0x5', '1e3'].map(seconds)).toEqual([null, null, null, null, null, null])
  expect([1, 90, 900, 5400, 86_400, 604_800, 0.5].map(typed)).toEqual(['1s', '90s', '15m', '90m', '1d', '1w', '0.5s'])
})

test('a draft becomes a wish, or says what is wrong', () => {
  expect(read({ ...EMPTY, name: ' build ', data: '{"a": 1}' })).toEqual({
    wish: { name: 'build', cron: '0 3 * * 1-5', tz: 'UTC', data: { a: 1 } },
    problem: null,
  })
  for (const cron of [' ', '0 3', 'nonsense', '0 3 * * * * *']) expect(read({ ...EMPTY, cron }).problem).toContain('5 fields')
  for (const cron of ['@daily', ' 0 3 * * 1-5 ', '*/7 * * * * *']) expect(read({ ...EMPTY, cron }).wish).toMatchObject({ cron: cron.trim() })
  expect(read({ ...EMPTY, kind: 'every', every: 'often' }).problem).toContain('15m')
  expect(read({ ...EMPTY, data: '{' }).problem).toContain('JSON')
})

test('an edit keeps what the form does not show', () => {
  const draft = draftOf(schedule, undefined)
  expect(read(draft, schedule).wish).toEqual({ name: 'build', every: 900, offset: 60, start: 5, limit: 3 })
  expect(read({ ...draft, every: '1m' }, schedule).wish).toEqual({ name: 'build', every: 60, start: 5, limit: 3 })
  expect(draftOf(schedule, { a: 1 }).data).toBe('{\n  "a": 1\n}')
})

test('a time as the wall of its zone shows it', () => {
  const now = Date.UTC(2026, 5, 1)
  expect(onTheWall('2026-03-02T03:00:00+01:00', now)).toBe('Mon 2 Mar 03:00')
  expect(onTheWall('2026-03-02T23:59:07-05:00', now)).toBe('Mon 2 Mar 23:59:07')
  expect(onTheWall('2028-02-29T00:00:00Z', now)).toBe('Tue 29 Feb 2028 00:00')
  expect(onTheWall('soon')).toBe('soon')
})

test('the own zone comes first, and none comes twice', () => {
  const all = zones('Europe/Berlin')
  expect(all[0]).toBe('Europe/Berlin')
  expect(new Set(all).size).toBe(all.length)
})

test('an end and a limit are read, kept to the second if untouched, and taken away', () => {
  const end = 1_900_000_007
  const ends = { ...schedule, end, limit: null }
  const draft = draftOf(ends, undefined)
  expect(read(draft, ends).wish).toMatchObject({ end })
  expect(read({ ...draft, end: '' }, ends).wish).not.toHaveProperty('end')
  expect(read({ ...draft, end: fieldOf(end + 60), limit: ' 12 ' }, ends).wish).toMatchObject({ end: end + 60 - (end % 60), limit: 12 })
  for (const limit of ['0', '-1', '1.5', 'x', '1e3']) expect(read({ ...draft, limit }, ends).problem).toContain('runs')
})

test('a schedule is found by any word of its row', () => {
  const nightly = { ...schedule, id: 'Nightly', queue: 'reports', words: 'at 03:00 every day', cron: '0 3 * * *', tz: 'Europe/Berlin', paused: true }
  for (const text of ['', 'night', 'REPORTS build', '03:00 paused', 'berlin']) expect(fits(nightly, text)).toBe(true)
  for (const text of ['nightly late', 'weekly', 'paused failed']) expect(fits(nightly, text)).toBe(false)
  expect(fits(schedule, 'paused')).toBe(false)
})
