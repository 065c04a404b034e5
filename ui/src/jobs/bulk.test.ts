import { expect, test } from 'vitest'
import { FITTING, isFinal, isTyped, outcome, share } from './bulk'

test.each([
  ['promote', 412, 3, { running: 3 }, '412 promoted, 3 were already running'],
  ['promote', 1, 1, { removed: 1 }, '1 promoted, 1 was gone already'],
  ['retry', 1840, 0, {}, '1,840 run again'],
  ['cancel', 10, 5, { finished: 3, refused: 1 }, '10 cancelled, 3 were finished already, 1 could not be changed, 1 stayed as they were'],
] as const)('%s %i', (kind, moved, gone, why, says) => expect(outcome({ kind, moved, gone, why })).toBe(says))

test('how far it is, once it is known how many they are', () => {
  expect(share({ total: 40, moved: 0, gone: 0, selected: false })).toBeNull()
  expect(share({ total: 40, moved: 9, gone: 1, selected: true })).toBe(0.25)
  expect(share({ total: 0, moved: 0, gone: 0, selected: true })).toBe(1)
})

test('the name of the queue is typed before what nothing brings back', () => {
  expect(isTyped('remove', 'completed', 1)).toBe(true)
  expect(isTyped('remove', 'failed', 5_000)).toBe(false)
  expect([isTyped('cancel', 'waiting', 99), isTyped('cancel', 'waiting', 100)]).toEqual([false, true])
  expect(isTyped('promote', 'delayed', 5_000)).toBe(false)
})

test('what cannot be taken back asks first; dead letters have a bin', () => {
  expect(isFinal('remove', 'failed')).toBe(false)
  expect(isFinal('remove', 'completed')).toBe(true)
  expect(isFinal('cancel', 'waiting')).toBe(true)
  expect(Object.values(FITTING).every((kinds) => kinds.length > 0)).toBe(true)
})
