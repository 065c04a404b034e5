import { expect, test } from 'vitest'
import { backOff, every, touches } from './live'

test('a queue touches what is shown of it, and the overview', () => {
  expect(touches('queue:email', ['overview'])).toBe(true)
  expect(touches('queue:email', ['queue', 'email'])).toBe(true)
  expect(touches('queue:email', ['head', 'email', 'waiting', true, ''])).toBe(true)
  expect(touches('queue:email', ['queue', 'email2'])).toBe(false)
  expect(touches('queue:email', ['job', 'email', '7'])).toBe(false)
  expect(touches('queue:email', ['redis'])).toBe(false)
})

test('a job touches itself and its logs', () => {
  expect(touches('job:email/7', ['job', 'email', '7'])).toBe(true)
  expect(touches('job:email/a/b', ['logs', 'email', 'a/b'])).toBe(true)
  expect(touches('job:email/7', ['job', 'email', '77'])).toBe(false)
  expect(touches('job:email/7', ['queue', 'email'])).toBe(false)
})

test('the rest goes by its name, and an unknown one touches nothing', () => {
  expect(touches('alerts', ['alerts-history'])).toBe(true)
  expect(touches('dead', ['dead'])).toBe(true)
  expect(touches('workers', ['overview'])).toBe(false)
  expect(touches('breakers', ['queue', 'email'])).toBe(true)
  expect(touches('weather', ['alerts'])).toBe(false)
})

test('pages ask seldom only while they are told', () => {
  expect(every(2_000, 'live')).toBe(30_000)
  expect(every(60_000, 'live')).toBe(60_000)
  for (const hearing of ['off', 'paused', 'reconnecting'] as const) expect(every(2_000, hearing)).toBe(2_000)
})

test('tries come at longer and longer intervals, never all pages at once', () => {
  expect([1, 2, 3, 4].map((failures) => backOff(failures, 1))).toEqual([1_000, 2_000, 4_000, 8_000])
  expect(backOff(3, 0)).toBe(2_000)
  expect(backOff(1_000, 1)).toBe(30_000)
})
