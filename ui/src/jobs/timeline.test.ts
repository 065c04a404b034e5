import { expect, test } from 'vitest'
import type { JobRun, JobView, Moments } from './api'
import { message, stackLines } from './stack'
import { shares, sums, timeline } from './timeline'

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
    cancelled: false, cancelling: null, held: null, heldSince: null, redacted: false, data: null, dataBytes: 4, dataForm: 'json', hidden: false,
    result: null, hasResult: false, progress: 0, checkpoint: null, checkpointAt: null, errorType: '', failedReason: null, runs: [], options: [], parent: null,
    children: { pending: 0, completed: 0, ignored: 0, failed: 0, some: [] }, schedule: null, dedup: null, group: null, signal: null, lock: null,
    timeout: null, traceId: null, logRows: 0, why: { cause: 'next', says: 'It is next.', more: '', until: null, breaker: null }, ...changes,
  }
}

function run(changes: Partial<JobRun>): JobRun {
  return {
    number: 1, startedAt: 910, endedAt: 914.8, worker: 'w4', outcome: 'failed', spent: true, wait: null, errorType: 'ProviderUnavailable',
    message: 'Onfido answered 503', trace: TRACE, ...changes,
  }
}

const moments = (changes: Partial<Moments>): Moments => ({ at: 1000, since: null, events: [], changes: [], ...changes })
const titles = (of: JobView, seen?: Moments) => timeline(of, of.at, seen).map((entry) => entry.title)

const clean = { errorType: '', message: '', trace: null }
const completed = run({ number: 2, startedAt: 960, endedAt: 970, outcome: 'completed', ...clean })

test.each<[string, Partial<JobView>, string[]]>([
  ['waits', {}, ['Added', 'Waiting']],
  ['runs', { status: 'active', runs: [run({ outcome: 'running', endedAt: null, ...clean })] }, ['Added', 'Attempt 1']],
  ['is delayed', { status: 'delayed', delay: 60 }, ['Added', 'Delayed', 'Attempt 1']],
  ['is tried again', { status: 'delayed', attemptsMade: 1, runs: [run({ wait: 60 })] }, ['Added', 'Attempt 1', 'Delayed', 'Attempt 2']],
  ['is held', { status: 'delayed', held: 'onfido', heldSince: 950 }, ['Added', 'Held', 'Attempt 1']],
  ['was tried twice', { status: 'completed', attemptsMade: 2, runs: [run({ wait: 40 }), completed] }, ['Added', 'Attempt 1', 'Delayed', 'Attempt 2', 'Completed']],
  ['has failed', { status: 'failed', attemptsMade: 1, runs: [run({ outcome: 'dead' })] }, ['Added', 'Attempt 1', 'Dead letter']],
  ['was cancelled before', { status: 'failed', cancelled: true }, ['Added', 'Cancelled']],
  ['failed often', { status: 'failed', attemptsMade: 12, runs: [run({ number: 12, outcome: 'dead' })] }, ['Added', 'Earlier runs', 'Attempt 12', 'Dead letter']],
  ['is a parent', { status: 'waiting-children' }, ['Added', 'Waits for children']],
  ['waits for a signal', {
    status: 'delayed', due: 1900, delay: 900, signal: { name: 'check-7', until: 1900 }, runs: [run({ outcome: 'signal', spent: false, ...clean })],
  }, ['Added', 'Attempt 1', 'Waits for a signal', 'Attempt 1 goes on']],
  ['was taken over', { status: 'active', runs: [run({ outcome: 'died', endedAt: null, ...clean }), run({ outcome: 'running', startedAt: 950, endedAt: null, ...clean })] }, ['Added', 'Attempt 1', 'Attempt 1']],
])('a job that %s', (_, changes, expected) => {
  expect(titles(job(changes))).toEqual(expected)
})

test('a run has its time, its worker, its reason, and says if it was not spent', () => {
  const held = job({ status: 'delayed', held: 'onfido', runs: [run({ outcome: 'held', spent: false, message: '401' })] })
  expect(timeline(held)[1]).toMatchObject({
    at: 910, took: '4.8\u00a0s', says: 'w4', notSpent: true, failure: { errorType: 'ProviderUnavailable', reason: '401' },
  })
})

test('an error is set against that of the run before', () => {
  const runs = [run({}), run({ number: 2, startedAt: 930, endedAt: 931 }), run({ number: 3, startedAt: 950, endedAt: 951, errorType: 'KeyError' })]
  const said = timeline(job({ status: 'failed', attemptsMade: 3, runs })).flatMap((entry) => (entry.failure ? [entry.failure.against] : []))
  expect(said).toEqual([undefined, 'same error as before', 'another error than before'])
})

test('a reason that is redacted stays so', () => {
  const entry = timeline(job({ redacted: true, status: 'failed', runs: [run({ message: null, trace: null })] }))[1]!
  expect(entry.failure).toMatchObject({ errorType: 'ProviderUnavailable', reason: null, trace: null })
})

test('progress is shown with the run that reported it', () => {
  const event = (at: number, progress: unknown) => ({ at, name: 'progress', previous: '', progress, due: null })
  const seen = moments({ events: [event(905, 1), event(911, 10), event(912, 10), event(914, 50), event(990, 99)] })
  expect(timeline(job({ status: 'failed', runs: [run({})] }), 1000, seen)[1]!.chips).toEqual(['progress 10\u00a0%, 50\u00a0%'])
})

test('what people did stands at its time', () => {
  const change = { id: '1-0', at: 955, actor: 'user:ada', action: 'job.change', target: 'kyc:7', facts: { priority: 2 } }
  const seen = moments({ changes: [change] })
  const entries = timeline(job({ status: 'delayed', delay: 60, due: 1010, runs: [run({ wait: 60 })] }), 1000, seen)
  expect(entries.map((entry) => entry.title)).toEqual(['Added', 'Attempt 1', 'Delayed', 'Changed', 'Attempt 1'])
  expect(entries[3]!.says).toBe('priority 2 by ada')
})

test('since when it waits is told by its event', () => {
  const seen = moments({ events: [{ at: 950, name: 'waiting', previous: 'delayed', progress: null, due: null }] })
  expect(timeline(job({ runs: [run({ wait: 30 })] }), 1000, seen).at(-1)).toMatchObject({ title: 'Waiting', at: 950, took: '50\u00a0s so far' })
})

test('its time is shared out in its order, and summed up', () => {
  const parts = shares(job({ status: 'completed', finishedAt: 970, runs: [run({ wait: 40 }), completed] }))
  expect(parts.map(({ kind, seconds }) => [kind, Math.round(seconds * 10) / 10])).toEqual([
    ['waiting', 10], ['running', 4.8], ['delayed', 40], ['waiting', 5.2], ['running', 10],
  ])
  expect(sums(parts).map(({ kind, seconds }) => [kind, Math.round(seconds)])).toEqual([['waiting', 15], ['running', 15], ['delayed', 40]])
  const held = job({ status: 'delayed', held: 'onfido', heldSince: 950 })
  expect(shares(held).map((part) => part.kind)).toEqual(['waiting', 'held'])
})

test('a trace is read', () => {
  expect(message(TRACE)).toBe('Onfido answered 503')
  expect(message(null)).toBeNull()
  const lines = stackLines(TRACE)
  expect(lines[0]).toEqual({ number: '', text: 'app/queues/kyc.py in ', where: 'verify' })
  expect(lines.filter((line) => line.hot).map((line) => line.number)).toEqual(['118'])
  expect(stackLines('TypeError: x\n    at run (/app/w.js:3:4)')).toHaveLength(2)
})
