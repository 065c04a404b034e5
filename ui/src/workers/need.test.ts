import { expect, test } from 'vitest'
import { fleetLines, isDrawable } from './need'

test('a minute is a point, and one that nobody saw a gap', () => {
  const page = { first: 600, seconds: 60, running: [3, null, 5], needed: [2.4, null, null] }
  expect(fleetLines(page, 1)).toEqual({ at: [600, 660, 720], running: [3, null, 5], needed: [2.4, null, null] })
})

test('of several minutes the most is shown', () => {
  const page = { first: 600, seconds: 60, running: [3, 5, null, null, 4], needed: [2.4, 1, null, null, null] }
  expect(fleetLines(page, 2)).toEqual({ at: [600, 720, 840], running: [5, null, 4], needed: [2.4, null, null] })
})

test('where nobody looked there is nothing to draw, and none that lived is something', () => {
  const lines = (running: (number | null)[]) => fleetLines({ first: 0, seconds: 60, running, needed: [] }, 1)
  expect(isDrawable(lines([null, null]))).toBe(false)
  expect(isDrawable(lines([null, 0]))).toBe(true)
})
