import { expect, test } from 'vitest'
import { bodyOf, parse, suggest } from './filter'

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

test.each([
  ['attempts:>2', { attemptsMin: 3 }],
  ['attempts:>=2', { attemptsMin: 2 }],
  ['attempts:<5', { attemptsMax: 4 }],
  ['attempts:3', { attemptsMin: 3, attemptsMax: 3 }],
  ['priority:2..4', { priorityMin: 2, priorityMax: 4 }],
  ['priority:0 group:"big one"', { priorityMin: 0, priorityMax: 0, group: 'big one' }],
])('%s', (text, filter) => expect(parse(text)).toEqual({ filter, wrong: [] }))

test.each(['attempts:many', 'priority:-1', 'after:25:61', 'colour:red', 'data.:7'])('%s is refused in words', (text) => {
  const { wrong } = parse(text)
  expect(wrong).toHaveLength(1)
  expect(wrong[0]).toContain(text.split(':')[0])
})

test('an operation asks for the same', () => {
  expect(bodyOf(parse('name:a after:2026-11-28T14:02Z data.user.id:7 attempts:>2').filter)).toEqual({
    name: 'a', addedAfter: Date.parse('2026-11-28T14:02Z') / 1000, where: { 'user.id': 7 }, attemptsMin: 3,
  })
})

const known = { names: ['verify', 'void', 'two words'], fields: ['user', 'provider'], groups: ['acme'], payloads: true }
const texts = (text: string, more = {}) => suggest(text, { ...known, ...more }).map((one) => one.text)

test('what may come next is offered', () => {
  expect(texts('')).toContain('name:')
  expect(texts('id:7 na')).toEqual(['id:7 name:'])
  expect(texts('name:v')).toEqual(['name:verify ', 'name:void '])
  expect(texts('name:t')).toEqual(['name:"two words" '])
  expect(texts('group:')).toEqual(['group:acme '])
  expect(texts('data.p')).toEqual(['data.provider:'])
  expect(texts('data.user:7')).toEqual([])
  expect(texts('', { payloads: false })).not.toContain('error:')
  expect(texts('data.p', { payloads: false })).toEqual([])
})
