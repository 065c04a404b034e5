import { expect, test } from 'vitest'
import type { JobView } from './api'
import { message, shares, stackLines, timeline } from './timeline'

const TRACE = `Traceback (most recent call last):
  File "/srv/app/queues/kyc.py", line 74, in verify
    check = await submit(applicant)
  File "/srv/app/providers/onfido.py", line 118, in submit
    raise ProviderUnavailable("Onfido answered 503")
ProviderUnavailable: Onfido answered 503
`

function job(changes: Partial<JobView>): JobView {
  return {
    at: 1000, id: '7', queue: 'kyc', name: 'verify', status: 'waiting', priority: 0, attemptsMade: 0, attemptsStarted: 0,
    attempts: 3, stalled: 0, enqueuedAt: 900, startedAt: null, finishedAt: null, due: null, delay: 0, processedBy: null,
    cancelled: false, held: null, heldSince: null, redacted: false, data: null, dataBytes: 4, result: null, hasResult: false,
    progress: 0, checkpoint: null, errorType: '', failedReason: null, failures: [], options: [], parent: null,
    children: { pending: 0, completed: 0, ignored: 0, failed: 0, some: [] }, schedule: null, dedup: null, group: null,
    logRows: 0, why: { cause: 'next', says: 'It is next.', more: '', until: null, breaker: null }, ...changes,
  }
}

const failure = { errorType: 'ProviderUnavailable', trace: TRACE }

test.each([
  ['waits', {}, ['Added', 'Waiting']],
  ['runs', { status: 'active', startedAt: 990, attemptsStarted: 1 }, ['Added', 'Attempt 1']],
  ['is delayed', { status: 'delayed', delay: 60 }, ['Added', 'Delayed', 'Attempt 1']],
  ['is tried again', { status: 'delayed', attemptsMade: 1, failures: [failure] }, ['Added', 'Attempt 1', 'Delayed', 'Attempt 2']],
  ['is held', { status: 'delayed', held: 'onfido', heldSince: 950 }, ['Added', 'Held', 'Attempt 1']],
  ['has completed', { status: 'completed', attemptsMade: 2, failures: [failure] }, ['Added', 'Attempt 1', 'Attempt 2', 'Completed']],
  ['has failed', { status: 'failed', attemptsMade: 1, failures: [failure] }, ['Added', 'Attempt 1', 'Dead letter']],
  ['was cancelled', { status: 'failed', cancelled: true }, ['Added', 'Cancelled']],
  ['failed often', { status: 'failed', attemptsMade: 12, failures: [failure] }, ['Added', 'Attempts 1 to 11', 'Attempt 12', 'Dead letter']],
  ['is a parent', { status: 'waiting-children' }, ['Added', 'Waits for children']],
])('a job that %s', (_, changes, titles) => {
  expect(timeline(job(changes as Partial<JobView>)).map((entry) => entry.title)).toEqual(titles)
})

test('the last attempt of a dead letter has its time, its worker and its reason', () => {
  const [, attempt] = timeline(
    job({ status: 'failed', attemptsMade: 1, startedAt: 950, finishedAt: 954.8, processedBy: 'w4', failedReason: 'no', failures: [failure] }),
  )
  expect(attempt).toMatchObject({ at: 950, took: '4.8\u00a0s', says: 'w4', failure: { reason: 'no' } })
})

test('its time is shared out', () => {
  expect(shares(job({ status: 'completed', startedAt: 960, finishedAt: 970 }))).toEqual([
    { seconds: 60, kind: 'waiting' }, { seconds: 10, kind: 'running' },
  ])
  expect(shares(job({ status: 'delayed', held: 'onfido', heldSince: 950 })).map((part) => part.kind)).toEqual(['waiting', 'held'])
})

test('a failure that is tried again ends where its wait begins', () => {
  const again = job({ status: 'delayed', attemptsMade: 1, startedAt: 910, due: 1020, delay: 60, failures: [failure], progress: 25 })
  expect(timeline(again)[1]).toMatchObject({ at: 910, took: '50\u00a0s', chips: ['progress 25\u00a0%'] })
  expect(timeline(again)[2]).toMatchObject({ title: 'Delayed', at: 960 })
  expect(shares(again).map((part) => part.seconds)).toEqual([10, 50, 40])
})

test('a trace is read', () => {
  expect(message(TRACE)).toBe('Onfido answered 503')
  expect(message(null)).toBeNull()
  const lines = stackLines(TRACE)
  expect(lines[0]).toEqual({ number: '', text: 'app/queues/kyc.py in ', where: 'verify' })
  expect(lines.filter((line) => line.hot).map((line) => line.number)).toEqual(['118'])
  expect(stackLines('TypeError: x\n    at run (/app/w.js:3:4)')).toHaveLength(2)
})
