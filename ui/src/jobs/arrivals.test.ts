import { expect, test } from 'vitest'
import { between, compare } from './arrivals'

const list = ['9', '8', '7', '6']

test.each([
  ['nothing happened', ['9', '8', '7', '6'], true, 0, []],
  ['two came', ['11', '10', '9', '8', '7', '6'], true, 2, []],
  ['two came and pushed two out of the head', ['11', '10', '9', '8'], false, 2, []],
  ['one left in the middle', ['9', '7', '6'], true, 0, ['8']],
  ['one left, and an older one is in the head for it', ['9', '7', '6', '5'], false, 1, ['8']],
  ['one came, one left', ['10', '9', '7', '6'], false, 1, ['8']],
  ['all left', [], true, 0, list],
])('%s', (_, head, complete, fresh, left) => {
  const change = compare(list, head, complete)
  expect(change.fresh).toBe(fresh)
  expect([...change.left]).toEqual(left)
})

test('a list that is longer than the head keeps what is behind it', () => {
  expect([...compare(['4', '3', '2', '1'], ['4', '3'], false).left]).toEqual([])
})

test('a range goes both ways, and is one row if its beginning is gone', () => {
  expect(between(list, '8', '6')).toEqual(['8', '7', '6'])
  expect(between(list, '6', '8')).toEqual(['8', '7', '6'])
  expect(between(list, 'gone', '7')).toEqual(['7'])
})
