import { expect, test } from 'vitest'
import { settled, textOf, typing, without, wordsOf } from './chips'

const NONE = { whole: [], typed: '' }

test.each([
  ['', []],
  ['184', ['184']],
  ['name:verify  data.user.id:7', ['name:verify', 'data.user.id:7']],
  ['error:"timed out" after:2h', ['error:"timed out"', 'after:2h']],
])('words of %j', (text, words) => {
  expect(wordsOf(text)).toEqual(words)
  expect(textOf({ whole: words, typed: '' })).toBe(words.join(' '))
})

test.each([
  ['name:ver', [], 'name:ver'],
  ['name:verify ', ['name:verify'], ''],
  ['name:verify id', ['name:verify'], 'id'],
  ['name: ', [], 'name: '],
  ['error:"timed ', [], 'error:"timed '],
  ['error:"timed out" ', ['error:"timed out"'], ''],
])('typing %j', (typed, whole, left) => expect(typing(NONE, typed)).toEqual({ whole, typed: left }))

test('what is typed comes behind the chips that are there', () => {
  const chips = { whole: ['name:a'], typed: 'id:7' }
  expect(typing(chips, 'id:7 ')).toEqual({ whole: ['name:a', 'id:7'], typed: '' })
  expect(settled(chips)).toEqual({ whole: ['name:a', 'id:7'], typed: '' })
  expect(textOf(chips)).toBe('name:a id:7')
})

test('one is taken away', () => {
  const chips = { whole: ['name:a', 'id:7', 'after:2h'], typed: 'x' }
  expect(without(chips, 1)).toEqual({ whole: ['name:a', 'after:2h'], typed: 'x' })
})
