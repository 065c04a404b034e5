import { expect, test } from 'vitest'
import { condition, type OverviewQueue, worstFirst } from './trouble'

const recent = {
  windowSeconds: 300, arrived: 0, completed: 0, failed: 0, retried: 0, stalled: 0, failureRate: 0, perSecond: 0,
  waitP50: null, waitP95: null, waitP99: null, runP50: null, runP95: null, runP99: null,
}

function queue(name: string, changes: Partial<OverviewQueue['row']> = {}): OverviewQueue {
  return {
    row: {
      queue: name, paused: false, states: { waiting: 0, active: 1 }, held: {}, oldestWaitingSeconds: null,
      drainSeconds: 0, workers: 1, recent, names: {}, unknownNames: [], lateSchedules: {}, ...changes,
    },
    arrived: [], ended: [],
  }
}

test.each([
  ['calm', 'Keeping up', {}],
  ['calm', 'Idle', { states: { waiting: 0, active: 0 } }],
  ['watch', 'Paused', { paused: true }],
  ['watch', 'Close to its objective', { oldestWaitingSeconds: 50 }],
  ['trouble', 'Behind by 30\u00a0s', { oldestWaitingSeconds: 90 }],
  ['trouble', 'No worker serves it', { workers: 0, states: { waiting: 3, active: 0 } }],
  ['trouble', 'Held: onfido breaker open', { held: { onfido: 7 }, paused: true }],
  ['watch', 'Nobody knows build', { unknownNames: ['build'] }],
])('%s: %s', (level, says, changes) => expect(condition(queue('q', changes))).toMatchObject({ level, says }))

test('the worst queue comes first, and equals stay in their order', () => {
  const order = worstFirst([
    queue('b'), queue('a'), queue('slow', { oldestWaitingSeconds: 100 }), queue('paused', { paused: true }),
    queue('slower', { oldestWaitingSeconds: 400 }),
  ])
  expect(order.map((one) => one.row.queue)).toEqual(['slower', 'slow', 'paused', 'a', 'b'])
})
