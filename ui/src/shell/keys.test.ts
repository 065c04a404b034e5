import { expect, test } from 'vitest'
import { between, moved } from './cursor'
import { caps, CHORD_MS, holding, isFree, nameOf, type Press, step } from './keys'

const press = (key: string, more: Partial<Press> = {}): Press => ({ key, shiftKey: false, ctrlKey: false, metaKey: false, altKey: false, ...more })
const deed = (says: string) => ({ says, run: () => undefined })

test('a press has one name whatever the keyboard', () => {
  expect(nameOf(press('j'))).toBe('j')
  expect(nameOf(press('X', { shiftKey: true }))).toBe('Shift x')
  expect(nameOf(press('J'))).toBe('j') // caps lock
  expect(nameOf(press('?', { shiftKey: true }))).toBe('?')
  expect(nameOf(press('k', { ctrlKey: true }))).toBe('Mod k')
  expect(nameOf(press('k', { metaKey: true }))).toBe('Mod k')
})

test('what belongs to the browser or to a word being made is none of ours', () => {
  expect(nameOf(press('j', { altKey: true }))).toBeNull()
  expect(nameOf(press('k', { ctrlKey: true, shiftKey: true }))).toBeNull()
  expect(nameOf(press('j', { isComposing: true }))).toBeNull()
})

test('only moving repeats while a key is held', () => {
  expect(nameOf(press('j', { repeat: true }))).toBe('j')
  expect(nameOf(press('r', { repeat: true }))).toBeNull()
})

const known = new Set(['g o', 'g q', 'o', 't', 'Mod k'])

test('a chord is two keys in time', () => {
  const begun = step(null, 'g', 0, known)
  expect(begun).toEqual({ does: null, pending: { key: 'g', until: CHORD_MS } })
  expect(step(begun.pending, 'o', CHORD_MS, known)).toEqual({ does: 'g o', pending: null })
  expect(step(begun.pending, 'o', CHORD_MS + 1, known)).toEqual({ does: 'o', pending: null })
})

test('a second key that makes no chord counts for itself, and a chord can be begun anew', () => {
  const begun = step(null, 'g', 0, known)
  expect(step(begun.pending, 't', 5, known)).toEqual({ does: 't', pending: null })
  expect(step(begun.pending, 'g', 5, known).pending).toEqual({ key: 'g', until: 5 + CHORD_MS })
  expect(step(null, 'z', 0, known)).toEqual({ does: null, pending: null })
})

test('of two parts with the same key the last has it, unless it does not apply there', () => {
  const all = holding([{ r: deed('one'), x: deed('x') }, { r: deed('two'), x: null }])
  expect(all.get('r')?.says).toBe('two')
  expect(all.get('x')?.says).toBe('x')
})

const at = (matching: string[]) => ({
  closest: (selector: string) => (matching.some((one) => selector.split(/,\s*(?![^(]*\))/).some((part) => part.startsWith(one))) ? ({} as Element) : null),
})

test('who types or is in a dialog means the letters', () => {
  expect(isFree(at([]), 'j')).toBe(true)
  expect(isFree(at(['textarea']), 'j')).toBe(false)
  expect(isFree(at(['dialog']), 'j')).toBe(false)
  expect(isFree(at(['textarea']), 'Mod k')).toBe(true)
  expect(isFree(at(['dialog']), 'Mod k')).toBe(false)
})

test('Enter on a link is the link', () => {
  expect(isFree(at(['a']), 'Enter')).toBe(false)
  expect(isFree(at(['a']), 'j')).toBe(true)
})

test('keys are shown as on the keyboard', () => {
  expect(caps('Mod k', false)).toEqual(['Ctrl', 'K'])
  expect(caps('Mod k', true)).toEqual(['⌘', 'K'])
  expect(caps('g o', false)).toEqual(['g', 'o'])
})

test('the cursor starts at the first row from above, and stays within the list', () => {
  const rows = ['a', 'b', 'c']
  expect(moved(null, rows, 1)).toEqual({ key: 'a', at: 0 })
  expect(moved(null, rows, -1)).toEqual({ key: 'a', at: 0 })
  expect(moved({ key: 'b', at: 1 }, rows, 1)).toEqual({ key: 'c', at: 2 })
  expect(moved({ key: 'c', at: 2 }, rows, 1)).toEqual({ key: 'c', at: 2 })
  expect(moved({ key: 'a', at: 0 }, rows, -1)).toEqual({ key: 'a', at: 0 })
  expect(moved(null, [], 1)).toBeNull()
})

test('the cursor follows its row, and goes on from there when the row is gone', () => {
  expect(moved({ key: 'b', at: 1 }, ['x', 'a', 'b', 'c'], 1)).toEqual({ key: 'c', at: 3 })
  expect(moved({ key: 'b', at: 1 }, ['a', 'c', 'd'], 1)).toEqual({ key: 'c', at: 1 })
  expect(moved({ key: 'b', at: 1 }, ['a', 'c', 'd'], -1)).toEqual({ key: 'a', at: 0 })
})

test('a range is in the order of the list, whichever end came first', () => {
  const rows = ['a', 'b', 'c', 'd']
  expect(between(rows, 'c', 'a')).toEqual(['a', 'b', 'c'])
  expect(between(rows, 'b', 'd')).toEqual(['b', 'c', 'd'])
  expect(between(rows, null, 'd')).toEqual(['d'])
  expect(between(rows, 'gone', 'd')).toEqual(['d'])
})
