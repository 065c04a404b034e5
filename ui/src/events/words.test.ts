import { expect, test } from 'vitest'
import type { QueueEvent } from './tape'
import { detail, KINDS, kindName, look, says } from './words'

const event = (kind: string, facts: Record<string, string> = {}, told: string | null = null): QueueEvent => ({
  id: '1-0', queue: 'q', kind, at: 1, job: '1', name: null, facts, detail: told, redacted: false,
})

test('every kind that the filter offers has words', () => {
  for (const kind of KINDS) expect(kindName(kind)).not.toBe(kind)
})

test('where a job comes from says why it waits', () => {
  expect(says(event('waiting', { prev: 'failed' }))).toBe('Retried, waiting')
  expect(says(event('waiting'))).toBe('Waiting')
  expect(says(event('cleaned', { count: '1200' }))).toBe('1,200 jobs cleaned away')
  expect(says(event('delayed', { delay: 'odd' }))).toBe('Delayed')
})

test('a delay is told by its length, and when it ends', () => {
  const delayed = event('delayed', { delay: String(1_000 + 90_000) })
  expect(says(delayed)).toBe('Delayed by 1\u00a0m\u00a030\u00a0s')
  expect(detail(delayed)).toMatch(/^until 1970-01-0\d \d\d:01:31$/)
  expect(detail(event('delayed', { delay: 'odd' }))).toBe('')
})

test("a producer's own kind is shown as it is", () => {
  expect(says(event('greeted'))).toBe('greeted')
  expect(look('greeted').glyph).toBe('deploy')
})

test('only trouble has a colour', () => {
  expect(KINDS.filter((kind) => look(kind).tone === 'is-failed')).toEqual(['failed', 'retries-exhausted'])
})

test('progress that is a number is a share', () => {
  expect(detail(event('progress', {}, '40'))).toBe('40\u00a0%')
  expect(detail(event('completed', {}, '{"a":1}'))).toBe('{"a":1}')
})
