import { expect, test } from 'vitest'
import { parse } from './filter'

const NOW = new Date(2026, 10, 28, 12, 0, 0).getTime() / 1000

test.each([
  ['', {}],
  ['184', { id: '184' }],
  ['name:verify id:18', { name: 'verify', id: '18' }],
  ['error:"timed out" name:x', { error: 'timed out', name: 'x' }],
  ['after:30m', { after: NOW - 1800 }],
  ['after:11:30', { after: NOW - 1800 }],
  ['before:13:00', { before: NOW - 23 * 3600 }],
  ['data.user.id:7 data.ok:true data.sku:A1', { where: '{"user.id":7,"ok":true,"sku":"A1"}' }],
  ['data.n:"7"', { where: '{"n":"7"}' }],
  ['data.x:[1]', { where: '{"x":"[1]"}' }],
  ['name:', {}],
])('%s', (text, filter) => expect(parse(text, NOW)).toEqual({ filter, wrong: [] }))

test.each(['after:soon', 'colour:red', 'after:7'])('%s is explained', (text) => {
  expect(parse(text, NOW).wrong).toHaveLength(1)
})
