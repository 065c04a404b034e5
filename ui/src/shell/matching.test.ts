import { expect, test } from 'vitest'
import { type Findable, fit, ranked, score, used } from './matching'
import { titleOf } from './places'

const queue = (title: string): Findable => ({ id: `queue:${title}`, kind: 'queue', title })
const command = (title: string): Findable => ({ id: `do:${title}`, kind: 'command', title })
const titles = (entries: Findable[]) => entries.map((entry) => entry.title)

test('the nearer, the better', () => {
  const fits = ['email', 'email-digest', 'send-email', 'voicemail'].map((text) => fit(text, 'email'))
  expect(fits.slice(0, 3)).toEqual([100, 80, 65])
  expect(fit('remailer', 'mail')).toBe(45)
  expect(fit('kyc-verification', 'kv')).toBeGreaterThan(fit('kafka-revival', 'kvl'))
  expect(fit('kyc-verification', 'zz')).toBe(0)
})

test('first letters find a name, letters from all over do not', () => {
  expect(fit('kyc-verification', 'kv')).toBeGreaterThan(0)
  expect(fit('image-processing', 'imgproc')).toBeGreaterThan(0)
  expect(fit('notification-of-the-customer', 'nxr')).toBe(0)
  expect(fit('analytics-daily-summary', 'asy')).toBeLessThan(fit('assay', 'asy') + 30)
})

test('case and order of the words do not matter', () => {
  expect(score(command('Pause email'), 'EMAIL pau')).toBeGreaterThan(0)
  expect(score(command('Pause email'), 'resume email')).toBe(0)
  expect(score({ ...queue('email'), also: 'held by sendgrid' }, 'sendgrid')).toBe(30)
})

test('a name that begins so comes before one that has it within', () => {
  const all = [queue('send-email'), queue('email-digest'), queue('email')]
  expect(titles(ranked(all, 'email', []))).toEqual(['email', 'email-digest', 'send-email'])
})

test('what was used lately comes first among equals', () => {
  const all = [queue('report-a'), queue('report-b')]
  expect(titles(ranked(all, 'report', []))).toEqual(['report-a', 'report-b'])
  expect(titles(ranked(all, 'report', ['queue:report-b']))).toEqual(['report-b', 'report-a'])
})

test('a queue comes before what can be done to it', () => {
  expect(titles(ranked([command('email'), queue('email')], 'email', []))).toEqual(['email', 'email'])
  expect(ranked([command('email'), queue('email')], 'email', [])[0]?.kind).toBe('queue')
})

test('a job that was looked up by its id comes first, but for a queue of that very name', () => {
  const job: Findable = { id: 'job:email:17', kind: 'job', title: '17' }
  expect(ranked([queue('17-days'), queue('17')], '17', [], [job]).map((entry) => entry.id)).toEqual(['queue:17', 'job:email:17', 'queue:17-days'])
})

test('two hundred queues make no long list', () => {
  const all = Array.from({ length: 200 }, (_, n) => queue(`queue-${n}`))
  expect(ranked(all, 'queue', [])).toHaveLength(50)
})

test('what is used again moves to the front', () => {
  expect(used(['a', 'b', 'c'], 'c')).toEqual(['c', 'a', 'b'])
  expect(used(['a', 'b'], 'c', 2)).toEqual(['c', 'a'])
})

test('a tab says what is open in it', () => {
  expect(titleOf('/')).toBe('Overview · Corral')
  expect(titleOf('/dead')).toBe('Dead letters · Corral')
  expect(titleOf('/queues/email')).toBe('email · Corral')
  expect(titleOf('/queues/email/jobs/order%3A7')).toBe('order:7 · email · Corral')
  expect(titleOf('/queues/%zz')).toBe('%zz · Corral')
})
