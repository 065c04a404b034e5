import { expect, test } from 'vitest'
import { rows, search } from './tree'

const DATA = { user: 'u"1', items: [1, { deep: null }], empty: {} }

test('what is closed is counted', () => {
  expect(rows('data', DATA, (_, depth) => depth < 1).map((row) => `${row.depth} ${row.key} ${row.text}`)).toEqual([
    '0 data 3 fields', '1 user "u\\"1"', '1 items 2 items', '1 empty 0 fields',
  ])
})

test('what is open is shown, and an empty branch has nothing to open', () => {
  const all = rows('data', DATA, () => true)
  expect(all.map((row) => row.key)).toEqual(['data', 'user', 'items', '0', '1', 'deep', 'empty'])
  expect(all.at(-1)!.open).toBe(false)
})

test('a place is named as code names it', () => {
  const all = rows('data', { 'a b': [{ deep: 1 }] }, () => true)
  expect(all.map((row) => row.at)).toEqual(['data', '["a b"]', '["a b"][0]', '["a b"][0].deep'])
})

test('a long branch is cut', () => {
  expect(rows('data', Array.from({ length: 1000 }), () => true)).toHaveLength(202)
})

test('a single value is a row', () => {
  expect(rows('data', 7, () => true)).toMatchObject([{ path: '$', depth: 0, key: 'data', kind: 'number', text: '7', open: false }])
})

test('a hidden value is a row of its own kind, and no branch', () => {
  expect(rows('data', { pin: { '$corral:hidden': true } }, () => true)[1]).toMatchObject({ key: 'pin', kind: 'hidden', open: false })
})

test('a search finds names and values, and what to open', () => {
  const { fit, above } = search(DATA, 'DEEP')
  expect([...fit]).toEqual(['$.items.1.deep'])
  expect([...above]).toEqual(['$', '$.items', '$.items.1'])
  expect([...search(DATA, 'u"').fit]).toEqual([])
  expect([...search(DATA, '1').fit]).toEqual(['$.user', '$.items.0', '$.items.1'])
})
