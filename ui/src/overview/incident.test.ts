import { expect, test } from 'vitest'
import type { components } from '../api/schema'
import type { Group } from '../dead/groups'
import { overviewQueue, RECENT } from '../queues/sample'
import type { OverviewQueue } from '../queues/trouble'
import { incidents } from './incident'

type Overview = components['schemas']['Overview']

const NOW = 1_000_000
const recent = { ...RECENT, arrived: 300, completed: 300, perSecond: 1 }

function queue(name: string, changes: Partial<OverviewQueue['row']> = {}): OverviewQueue {
  return overviewQueue(name, { states: { waiting: 0, active: 1, failed: 0 }, recent, ...changes })
}

function overview(queues: OverviewQueue[], breakers: Overview['breakers'] = [], workers = 1): Overview {
  return { at: NOW, whole: true, queues, breakers, workers, leftBehind: 0, server: null }
}

const onfido = { name: 'onfido', state: 'open', held: 1840, reason: '401 authorization_error', since: NOW - 372, cause: 'configuration' }

const group: Group = {
  queue: 'kyc', id: 'g1', title: '', error: 'app.FetchError', frame: 'app.py in get', name: 'verify', text: '', count: 40, total: 40,
  firstSeen: NOW - 300, lastSeen: NOW - 5, sample: '7', reason: 'origin answered 503', state: 'open', stateSince: null, stateBy: '',
  ignoredUntil: null, ignoredFailures: null, reopened: '', notes: 0, redacted: false,
}

function dead(hours: number[], changes: Partial<Group> = {}) {
  return { groups: [{ ...group, ...changes }], hours: { kyc: { g1: hours } } }
}

const quiet = (last: number, usual = 0) => [...Array<number>(23).fill(usual), last]
const plain = (text: unknown) => JSON.parse(JSON.stringify(text).replaceAll('\u00a0', ' ')) as unknown

test('nothing is said when all is well', () => {
  expect(incidents(overview([queue('a'), queue('b', { paused: true, oldestWaitingSeconds: 900 })]))).toEqual([])
  expect(incidents(overview([queue('a')], [{ ...onfido, state: 'closed', held: 3 }, { ...onfido, held: 0 }]))).toEqual([])
})

test('held by a breaker: what it says is the cause, and a test of the key the repair', () => {
  const kyc = queue('kyc', { held: { onfido: 1800 }, states: { waiting: 0, failed: 37 } })
  const [found] = incidents(overview([queue('a'), kyc], [onfido]))
  expect(found).toMatchObject({
    kind: 'held', queue: 'kyc', title: 'kyc is held: Onfido refuses our API key', first: 'Set a valid ONFIDO_API_KEY on the workers', since: NOW - 372,
    repair: { does: 'resume', breaker: 'onfido' }, afterwards: { queue: 'kyc', jobs: 37 },
  })
  expect(plain(found!.figures.map((figure) => figure.value))).toEqual(['1,840', '6 m 12 s', '37'])
  expect(found!.why.find((link) => link.cause)?.says).toBe('Onfido: 401 authorization_error')
})

test('several queues held by one breaker are one incident, named by the fullest', () => {
  const found = incidents(overview([queue('few', { held: { onfido: 4 } }), queue('many', { held: { onfido: 9 } })], [onfido]))
  expect(found.map((one) => one.title)).toEqual(['many and 1 more are held: Onfido refuses our API key'])
})

test('a queue whose jobs are held is not also told to be behind', () => {
  const late = { workers: 1, oldestWaitingSeconds: 900, states: { waiting: 3, failed: 0 } }
  const kyc = queue('kyc', { ...late, held: { onfido: 4 }, recent: { ...recent, perSecond: 0.5 } })
  const found = incidents(overview([kyc, queue('mail', late)], [onfido]))
  expect(found.map((one) => [one.kind, one.queue])).toEqual([['held', 'kyc'], ['behind', 'mail']])
  // Those for another provider get their answers.
  expect(found[0]!.impact).toBe('1 new jobs a second come in. None is lost; those that need it wait.')
})

test.each([
  ['failures', 'onfido', 'kyc is held: Onfido’s breaker is open', 'Repair it at Onfido, or in its settings'],
  ['operator', 'onfido', 'kyc is held: Onfido’s breaker was opened by hand', 'Repair it at Onfido, or in its settings'],
  ['configuration', 'payments', 'kyc is held: payments’s breaker is open', 'Repair it at payments, or in its settings'],
  ['configuration', 'supabase-storage', 'kyc is held: Supabase refuses our API key', 'Set a valid SUPABASE_SERVICE_KEY on the workers'],
])('a breaker open for %s, %s', (cause, name, title, first) => {
  const [found] = incidents(overview([queue('kyc', { held: { [name]: 4 } })], [{ ...onfido, name, cause }]))
  expect(found).toMatchObject({ title, first })
})

test.each([
  [0, 'No worker runs at all'],
  [1, 'The one worker that runs serves other queues'],
  [5, 'The 5 workers that run serve other queues'],
])('no worker serves it, %d run', (workers, says) => {
  const found = incidents(overview([queue('stuck', { workers: 0, states: { waiting: 3 }, oldestWaitingSeconds: 90 })], [], workers))
  expect(found).toHaveLength(1)
  expect(found[0]).toMatchObject({ title: 'stuck has no worker', repair: { does: 'copy', command: 'corral worker PACKAGE.MODULE:NAME' } })
  expect(found[0]!.why[0]!.says).toBe(says)
})

test('a built-in queue needs no module named', () => {
  const [found] = incidents(overview([queue('email', { workers: 0, states: { waiting: 3 } })]))
  expect(found).toMatchObject({ repair: { does: 'copy', command: 'corral worker --queues email' }, brings: 'starts one' })
})

test.each([
  [{}, 'It works a backlog off'],
  [{ perSecond: 0.5 }, 'More comes in (1/s) than is done (0.5/s)'],
  [{ perSecond: 0 }, 'No job has ended within five minutes'],
  [{ failureRate: 0.4 }, '40 % of its jobs fail for good'],
  [{ stalled: 4, perSecond: 0.5 }, '4 jobs were lost by their workers and run again'],
])('behind its objective %j: %s', (changes, says) => {
  const [found] = incidents(overview([queue('slow', { oldestWaitingSeconds: 90, recent: { ...recent, ...changes } })]))
  expect(plain([found!.title, found!.why[0]!.says, found!.repair])).toEqual(['slow is behind by 30 s', says, { does: 'workers' }])
})

test.each([
  ['a burst', quiet(40), {}, 1],
  ['a few', quiet(9), {}, 0],
  ['as every hour', quiet(40, 30), {}, 0],
  ['three times the usual', quiet(40, 13), {}, 1],
  ['long ago', quiet(40), { lastSeen: NOW - 1000 }, 0],
  ['ignored', quiet(40), { state: 'ignored' }, 0],
])('dead letters of one kind: %s', (_, hours, changes, incidentsFound) => {
  const found = incidents(overview([queue('kyc')]), dead(hours, changes))
  expect(found).toHaveLength(incidentsFound)
  if (incidentsFound) expect(found[0]!.repair).toEqual({ does: 'dead', queue: 'kyc', group: 'kyc:g1', jobs: 40 })
})

test('the worst is first', () => {
  const found = incidents(
    overview(
      [
        queue('slow', { oldestWaitingSeconds: 90 }), queue('slower', { oldestWaitingSeconds: 900 }),
        queue('stuck', { workers: 0, states: { waiting: 3 } }), queue('kyc', { held: { onfido: 1 } }),
      ],
      [onfido],
    ),
    dead(quiet(40)),
  )
  expect(found.map((one) => `${one.kind} ${one.queue}`)).toEqual(['held kyc', 'unserved stuck', 'rising kyc', 'behind slower', 'behind slow'])
})

test('a deploy shortly before stands first in the chain', () => {
  const deploy = (at: number, what: string) => ({ at, kind: 'deploy' as const, what, subject: '', detail: '', severity: '', before: null, after: null })
  const changes = [deploy(NOW - 100, 'shop@after'), deploy(NOW - 700, 'shop@2.14.0'), deploy(NOW - 900, 'shop@2.13.0'), deploy(NOW - 9_000, 'old')]
  const kyc = queue('kyc', { held: { onfido: 1800 }, states: { waiting: 0 } })
  const [found] = incidents(overview([kyc], [onfido]), undefined, changes)
  expect(found!.why[0]).toEqual({ at: NOW - 700, glyph: 'deploy', says: 'Deploy 2.14.0' })
  expect(incidents(overview([kyc], [onfido]), undefined, changes.slice(3))[0]!.why[0]!.glyph).toBe('key')
})
