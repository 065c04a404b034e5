import { expect, test } from 'vitest'
import { countOf, stateOf, tabOf, waitingTab } from './states'

test('what a breaker holds stands among the delayed, and the tab says so while there is any', () => {
  const delayed = stateOf('delayed')
  expect(countOf(delayed, { delayed: 2, held: 5, waiting: 9 })).toBe(7)
  expect(tabOf(delayed, 5)).toMatchObject({ name: 'Delayed and held', glyph: 'held' })
  expect(tabOf(delayed, 0).name).toBe('Delayed')
  expect(tabOf(stateOf('waiting'), 5).name).toBe('Waiting')
})

test('the number of what waits leads to where most of it stands', () => {
  expect(waitingTab({ waiting: 3, prioritized: 2, held: 6 })).toBe('delayed')
  expect(waitingTab({ waiting: 3, prioritized: 3, held: 6 })).toBe('waiting')
  expect(waitingTab({})).toBe('waiting')
})

test('an address that names no state shows what waits', () => {
  expect(stateOf('nonsense').key).toBe('waiting')
})
