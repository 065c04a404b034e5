import { expect, test } from 'vitest'
import { type Alert, type AlertsNow, breakerOf, condition, covers, firing, leadsTo, type Rule, type Silence, watch, worstFirst, written } from './alerts'

const NOW = 1_000_000
const plain = (text: string) => text.replaceAll('\u00a0', ' ')

function alert(subject: string, changes: Partial<Alert> = {}): Alert {
  return {
    rule: 'waiting', subject, state: 'firing', severity: 'warning', title: '', summary: '', advice: '', value: 1, fire: 0, since: NOW,
    firedAt: NOW, toldAt: NOW, silenced: false, acknowledged: null, ...changes,
  }
}

test('what needs somebody is first', () => {
  const alerts = [
    alert('silenced', { silenced: true, severity: 'critical' }), alert('pending', { state: 'pending', firedAt: null, severity: 'critical' }),
    alert('in hand', { severity: 'critical', acknowledged: { by: 'user:ada', at: NOW, note: '' } }),
    alert('old', { firedAt: NOW - 60 }), alert('new'), alert('critical', { severity: 'critical' }),
  ]
  expect(worstFirst(alerts).map((one) => one.subject)).toEqual(['critical', 'new', 'old', 'in hand', 'silenced', 'pending'])
  expect(firing(alerts)).toBe(3)
})

test.each([
  [null, '', true, 'No process judges the rules: start corral up, corral worker or corral alerts run.'],
  [NOW - 5, 'vm:12:ab', false, 'Judged 5 s ago by vm, process 12.'],
  [NOW - 600, 'vm:12:ab', true, 'Nobody has judged the rules since 10 m ago.'],
])('who looks, last at %s', (evaluatedAt, leader, bad, says) => {
  const seen = watch({ evaluatedAt, leader } as AlertsNow, NOW)
  expect([seen.bad, plain(seen.says)]).toEqual([bad, says])
})

test.each([[0.05, 'share', '5 %'], [0.0125, 'share', '1.25 %'], [372, 'seconds', '6 m 12 s'], [1000, 'jobs', '1,000']])(
  '%d %s', (value, unit, text) => expect(plain(written(value, unit))).toBe(text),
)

test('when a rule fires', () => {
  const limits = { fire: 0.05, forSeconds: 60, minimum: 20 }
  expect(plain(condition({ unit: 'share', limits } as Rule))).toBe('over 5 % for 1 m, of at least 20 jobs')
  expect(plain(condition({ unit: 'jobs', limits: { fire: 0, forSeconds: 0, minimum: 0 } } as Rule))).toBe('as soon as it happens')
  expect(plain(condition({ unit: 'jobs', limits: { fire: 0, forSeconds: 60, minimum: 0 } } as Rule))).toBe('once it lasts 1 m')
})

test('where an alert leads, and what a silence covers', () => {
  expect(leadsTo({ rule: 'dead-letters', subject: 'email' })).toMatchObject({ to: '/dead', search: { queue: 'email' } })
  expect(leadsTo({ rule: 'waiting', subject: 'email' })).toMatchObject({ to: '/queues/$queue', params: { queue: 'email' } })
  expect(leadsTo({ rule: 'schedule-late', subject: 'email/a/b' })).toMatchObject({ search: { schedule: 'email a/b' } })
  expect(leadsTo({ rule: 'redis-memory', subject: 'redis' })).toMatchObject({ to: '/redis' })
  expect(leadsTo({ rule: 'breaker-open', subject: 'onfido' })).toBeNull()
  expect(breakerOf({ rule: 'breaker-open', subject: 'onfido', state: 'firing' })).toBe('onfido')
  expect(breakerOf({ rule: 'breaker-open', subject: 'onfido', state: 'pending' })).toBeNull()
  expect(breakerOf({ rule: 'waiting', subject: 'email', state: 'firing' })).toBeNull()
  const silence = (rule: string, subject: string) => ({ rule, subject }) as Silence
  expect(covers(silence('*', 'email'), alert('email'))).toBe(true)
  expect(covers(silence('waiting', '*'), alert('email'))).toBe(true)
  expect(covers(silence('waiting', 'sms'), alert('email'))).toBe(false)
})
