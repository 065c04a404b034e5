import { expect, test } from 'vitest'
import { overviewQueue as queue, queueRow, RECENT } from './sample'
import { besides, condition, drained, drainedSays, oldestOf, queuedOf, type QueueRow, worstFirst } from './trouble'

const waits = (waiting: number, oldest: number, changes: Partial<QueueRow> = {}): Partial<QueueRow> => ({
  states: { waiting, active: 1 }, oldestWaitingSeconds: oldest, drainSeconds: null, ...changes,
})
/** Jobs a second that come and go. */
const flow = (comes: number, goes: number) => ({ ...RECENT, arrived: comes * 300, perSecond: goes })

// What it is, how loud, what it says, when it is drained, and whether that is red.
test.each<[string, string, string, string, boolean, Partial<QueueRow>]>([
  ['idle', 'calm', 'Idle', 'now', false, { states: { waiting: 0, active: 0 } }],
  ['busy', 'calm', 'Keeping up', 'now', false, {}],
  ['only delayed jobs', 'calm', 'Idle, 1,200 for later', 'now', false, { states: { waiting: 0, active: 0, delayed: 1_200 } }],
  ['paused on purpose, nothing waits', 'calm', 'Paused, nothing waits', 'now', false, { paused: true, states: { waiting: 0 } }],
  ['paused, and jobs wait long', 'watch', 'Paused', 'not draining', false, waits(4, 900, { paused: true, workers: 0 })],
  ['held by a breaker, nothing else waits', 'trouble', 'Held: Onfido breaker open', 'not draining', true, { held: { onfido: 7 }, states: { held: 7 } }],
  ['held and paused', 'trouble', 'Held: Onfido, Twilio breaker open', 'not draining', true, { held: { onfido: 7, twilio: 1, old: 0 }, states: { held: 8 }, paused: true }],
  ['a closed breaker held some', 'calm', 'Keeping up', 'now', false, { held: { onfido: 0 } }],
  ['rate limited within its objective', 'watch', 'Rate limit used up, resumes in 23\u00a0s', '2\u00a0m\u00a047\u00a0s', false, waits(128, 30, { rateLimitedSeconds: 23, drainSeconds: 167 })],
  ['rate limited and late', 'trouble', 'Behind by 30\u00a0s, its rate limit is used up', 'not draining', true, waits(128, 90, { rateLimitedSeconds: 23 })],
  ['rate limit used up, nothing waits', 'calm', 'Idle', 'now', false, { rateLimitedSeconds: 23, states: { waiting: 0, active: 0 } }],
  ['no worker', 'trouble', 'No worker serves it', 'not draining', true, waits(3, 2, { workers: 0 })],
  ['no worker needed', 'calm', 'Idle', 'now', false, { workers: 0, states: { waiting: 0, active: 0 } }],
  ['a name that nobody knows', 'watch', 'Nobody knows build', 'now', false, { unknownNames: ['build'] }],
  ['behind', 'trouble', 'Behind by 30\u00a0s', 'not draining', true, waits(5, 90)],
  ['behind, catching up', 'trouble', 'Behind by 30\u00a0s', '12\u00a0s', false, waits(5, 90, { drainSeconds: 12 })],
  ['close to its objective', 'watch', 'Close to its objective', '10\u00a0s', false, waits(5, 50, { drainSeconds: 10 })],
  ['arrivals above departures', 'watch', 'More comes than goes', '1\u00a0m\u00a040\u00a0s', false, waits(200, 5, { recent: flow(4, 2), drainSeconds: 100 })],
  ['a burst that is done within the objective', 'calm', 'Keeping up', '20\u00a0s', false, waits(200, 5, { recent: flow(20, 10), drainSeconds: 20 })],
  ['as much comes as goes', 'calm', 'Keeping up', '1\u00a0m\u00a040\u00a0s', false, waits(200, 5, { recent: flow(2, 2), drainSeconds: 100 })],
  ['young: nothing has ended yet', 'calm', 'Keeping up', '–', false, waits(5, 2, { recent: flow(1, 0) })],
  ['done in a blink', 'calm', 'Keeping up', 'now', false, waits(18, 0.4, { drainSeconds: 0.4 })],
])('%s: %s', (_, level, says, drain, red, changes) => {
  const row = queueRow('q', changes)
  expect(condition({ row })).toMatchObject({ level, says })
  expect(drainedSays(drained(row))).toBe(drain)
  expect(drained(row)).toEqual(red ? { kind: 'never', bad: true } : expect.not.objectContaining({ bad: true }))
})

test('each queue has an objective of its own', () => {
  expect(condition(queue('q', { oldestWaitingSeconds: 90, objective: { age: 300, drain: 30 } })).level).toBe('calm')
  expect(condition(queue('q', { oldestWaitingSeconds: 12, objective: { age: 10, drain: 30 } })).level).toBe('trouble')
})

test('the worst queue comes first: by level, then by age against its objective, then by depth; equals by name', () => {
  const order = worstFirst([
    queue('b'), queue('a'), queue('deep', { states: { waiting: 900, active: 1 }, drainSeconds: 1 }),
    queue('late', { oldestWaitingSeconds: 400, objective: { age: 300, drain: 30 } }),
    queue('later', { oldestWaitingSeconds: 100 }), queue('held', { held: { onfido: 2 }, states: { held: 2 } }), queue('paused', { paused: true, states: { waiting: 1 } }),
  ])
  expect(order.map((one) => one.row.queue)).toEqual(['held', 'later', 'late', 'paused', 'deep', 'a', 'b'])
})

test('held jobs wait, too', () => {
  expect([oldestOf(queueRow('q', { heldSeconds: 9 })), oldestOf(queueRow('q', { heldSeconds: 9, oldestWaitingSeconds: 30 }))]).toEqual([9, 30])
  expect(queuedOf({ waiting: 2, prioritized: 3, held: 4, delayed: 9 })).toBe(9)
  expect(besides({ active: 3, delayed: 212 })).toBe('3 active · 212 delayed')
  expect(besides({})).toBe('0 active')
})
