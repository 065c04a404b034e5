import { expect, test } from 'vitest'
import { ago, bytes, capital, clock, count, duration, percent, precise, rate, showTimesIn, span, stamp, until } from './format'

const plain = (text: string) => text.replaceAll('\u00a0', ' ')

test.each([
  [0, '0'], [1840, '1,840'], [99_999, '99,999'], [100_000, '100 k'], [999_499, '999 k'], [1_234_567, '1.2 M'],
  [25_000_000, '25 M'], [1_500_000_000, '1.5 G'],
])('count of %d', (value, text) => expect(plain(count(value))).toBe(text))

test.each([
  [0, '0 ms'], [0.0004, '0 ms'], [0.05, '50 ms'], [0.4, '0.4 s'], [9.94, '9.9 s'], [9.96, '10 s'], [59.4, '59 s'], [59.6, '1 m 00 s'],
  [372, '6 m 12 s'], [3600, '1 h 00 m'], [11_100, '3 h 05 m'], [187_200, '2 d 4 h'],
])('duration of %d s', (seconds, text) => expect(plain(duration(seconds))).toBe(text))

test('no duration', () => expect(duration(null)).toBe('–'))

test.each([[0, '0'], [0.01, '<0.1'], [0.4, '0.4'], [4.0, '4'], [42.4, '42'], [3959, '3,959']])(
  'rate of %d', (value, text) => expect(rate(value)).toBe(text),
)

test('shares and sizes', () => {
  expect(plain(percent(0.0149))).toBe('1.5 %')
  expect(plain(bytes(222_298_112))).toBe('212 MB')
  expect(plain(bytes(512))).toBe('512 B')
})

test.each([[0.5, 'now'], [12, '12 s ago'], [372, '6 m ago'], [7200, '2 h ago'], [400_000, '5 d ago']])(
  '%d s ago', (seconds, text) => expect(plain(ago(1000_000 - seconds, 1000_000))).toBe(text),
)

test.each([
  [60, '1\u00a0m'],
  [86_400, '1\u00a0d'],
  [90, '1\u00a0m\u00a030\u00a0s'],
  [0.5, '0.5\u00a0s'],
])('a span of %d is %s', (seconds, says) => expect(span(seconds)).toBe(says))

test.each([
  [99, 'now'], [112, 'in 12 s'], [460, 'in 6 m'], [100 + 7200, 'in 2 h'], [100 + 3 * 86_400, 'in 3 d'],
])('until %d', (at, text) => expect(plain(until(at, 100))).toBe(text))

test('a fragment starts a sentence', () => expect([capital('late'), capital('')]).toEqual(['Late', '']))

test('the clock is read in the zone that was chosen, its day too', () => {
  const midnight = Date.parse('2026-11-28T23:30:00Z') / 1000
  showTimesIn('Asia/Tokyo')
  expect(clock(midnight, midnight)).toBe('08:30:00')
  expect(clock(midnight, midnight - 9 * 3600)).toBe('2026-11-29 08:30:00')
  expect(precise(midnight + 0.25, midnight)).toBe('08:30:00.250')
  expect(precise(midnight, midnight - 9 * 3600)).toBe('11-29 08:30:00')
  expect(stamp(midnight)).toBe('2026-11-29 08:30')
  showTimesIn('')
})
