import { expect, test } from 'vitest'
import { keepOrder } from './order'

const self = (name: string) => name

test('what was there stays in its order, what is new comes last as it came', () => {
  expect(keepOrder(['a', 'b', 'c'], ['c', 'x', 'a', 'w', 'b'], self)).toEqual(['a', 'b', 'c', 'x', 'w'])
})

test('what is gone leaves no hole, and without an order the given one holds', () => {
  expect(keepOrder(['a', 'b', 'c'], ['c', 'a'], self)).toEqual(['a', 'c'])
  expect(keepOrder([], ['c', 'a'], self)).toEqual(['c', 'a'])
})
