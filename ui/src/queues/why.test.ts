import { expect, test } from 'vitest'
import type { QueueSettings } from '../jobs/api'
import { queueRow } from './sample'
import { slowBecause } from './why'

const RECENT = {
  windowSeconds: 100, arrived: 100, completed: 0, failed: 0, cancelled: 0, retried: 0, stalled: 0, failureRate: 0, perSecond: 2,
  waitP50: null, waitP95: null, waitP99: null, runP50: null, runP95: null, runP99: null,
}
const ROW = queueRow('q', { states: { waiting: 5, active: 2 }, oldestWaitingSeconds: 90, drainSeconds: 30, recent: RECENT })

test.each([
  ['Behind, and catching up.', {}, {}],
  ["7 jobs are held because Onfido’s breaker is open.", { held: { onfido: 7, other: 1 }, paused: true }, {}],
  ['Nothing starts because the queue is paused.', { paused: true }, {}],
  ['Nothing runs because no worker serves this queue.', { workers: 0 }, {}],
  ['No worker knows build.', { unknownNames: ['build'] }, {}],
  ['Slow because its rate limit is used up.', {}, { rateLimitedFor: 3 }],
  ['Slow because it runs as many jobs as it may: 2.', {}, { concurrency: 2 }],
  ['Slow because more comes than goes: 4.0 in, 2.0 out a second.', { recent: { ...RECENT, arrived: 400 } }, {}],
])('%s', (says, row, settings) => {
  expect(slowBecause({ ...ROW, ...row }, { rateLimitedFor: 0, concurrency: null, ...settings } as QueueSettings)!.says).toBe(says)
})

test('what a breaker has met is said with it, and when it is tried again', () => {
  const onfido = { name: 'onfido', state: 'open' as const, since: 0, cause: 'configuration', reason: '401.', job: '', held: 7, failedProbes: 1, nextProbe: 168.2, rate: 10 }
  const more = (changes: Partial<typeof onfido>) => slowBecause({ ...ROW, held: { onfido: 7 } }, undefined, [{ ...onfido, ...changes }], 100)!.more.replaceAll('\u00a0', ' ')
  expect(more({})).toMatch(/^Since .*: 401\. They spend no attempt, and run again when it closes\. One tries it in 1 m 09 s\.$/)
  expect(more({ nextProbe: 90, reason: '' })).toBe('They spend no attempt, and run again when it closes.')
})

test('a queue that keeps up is not explained', () => {
  expect(slowBecause({ ...ROW, oldestWaitingSeconds: 10 }, undefined)).toBeNull()
  expect(slowBecause({ ...ROW, objective: { age: 300, drain: 30 } }, undefined)).toBeNull()
})
