import { expect, test } from 'vitest'
import { actionWords, AREAS, areasOf, leadsTo } from './words'

test('a change is told in words, and one without words as the log has it', () => {
  expect(actionWords('queue.pause')).toBe('Paused the queue')
  expect(actionWords('jobs.retry.stopped')).toBe('Retries jobs: stopped')
  expect(actionWords('moon.land')).toBe('moon.land')
  expect(actionWords('odd')).toBe('odd')
})

test('jobs are one area, whether one or many were changed', () => {
  expect(areasOf('job')).toEqual(['job', 'jobs'])
  expect(AREAS.filter((area) => areasOf(area).length === 0)).toEqual([])
})

test('a change leads to what was changed', () => {
  expect(leadsTo('queue.pause', 'email')).toEqual({ to: '/queues/$queue', params: { queue: 'email' } })
  expect(leadsTo('job.retry', 'email:repeat:x:7')).toEqual({ to: '/queues/$queue/jobs/$id', params: { queue: 'email', id: 'repeat:x:7' } })
  expect(leadsTo('job.promote', 'email')).toEqual({ to: '/queues/$queue', params: { queue: 'email' } })
  expect(leadsTo('dead.discard', 'email')).toEqual({ to: '/dead', search: { queue: 'email' } })
  expect(leadsTo('schedule.run', 'email:nightly')).toEqual({ to: '/schedules', search: { schedule: 'email nightly' } })
})

test('what is gone or has no page leads nowhere', () => {
  expect(leadsTo('schedule.remove', 'email:nightly')).toBeNull()
  expect(leadsTo('key.create', 'ops')).toBeNull()
  expect(leadsTo('queue.pause', '')).toBeNull()
})
