import { expect, test } from 'vitest'
import { rows } from './tree'

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

test('a long branch is cut', () => {
  expect(rows('data', Array.from({ length: 1000 }), () => true)).toHaveLength(202)
})

test('a single value is a row', () => {
  expect(rows('data', 7, () => true)).toEqual([{ path: '$', depth: 0, key: 'data', kind: 'number', text: '7', open: false }])
})
