import { expect, test } from 'vitest'
import type { Alert } from '../alerts/alerts'
import { bandAlerts } from './bandAlerts'

const ADA = { by: 'user:ada', at: 50, note: '' }
const alert = (rule: string, subject: string, changes: Partial<Alert> = {}): Alert => ({
  rule, subject, state: 'firing', severity: 'critical', title: '', summary: '', advice: '', value: 1, fire: 0, since: 0, firedAt: 0, toldAt: 10,
  silenced: false, acknowledged: null, ...changes,
})
const HELD = { kind: 'held', queue: 'kyc', repair: { does: 'resume', breaker: 'onfido' } } as const
const BEHIND = { kind: 'behind', queue: 'kyc', repair: { does: 'workers' } } as const

test('a held queue is the business of the breaker’s alert alone', () => {
  const alerts = [alert('breaker-open', 'idenfy'), alert('oldest-waiting', 'kyc'), alert('breaker-open', 'onfido')]
  expect(bandAlerts(HELD, alerts)?.firing.map((one) => one.subject)).toEqual(['onfido'])
})

test('what is pending, or of another queue, is none', () => {
  expect(bandAlerts(BEHIND, [alert('waiting', 'kyc', { state: 'pending' }), alert('waiting', 'email')])).toBeNull()
})

test('it is in hand when all of it is, since the last one was', () => {
  const late = { ...ADA, by: 'user:mia', at: 80 }
  const one = alert('waiting', 'kyc', { acknowledged: ADA, toldAt: null })
  expect(bandAlerts(BEHIND, [one, alert('oldest-waiting', 'kyc')])).toMatchObject({ toldAt: 10 })
  expect(bandAlerts(BEHIND, [one, alert('oldest-waiting', 'kyc')])?.inHand).toBeUndefined()
  expect(bandAlerts(BEHIND, [one, alert('oldest-waiting', 'kyc', { acknowledged: late })])?.inHand).toEqual(late)
})
