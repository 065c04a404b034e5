import { expect, test } from 'vitest'
import { keep, readPreferences } from './preferences'

function store(kept: Record<string, string> = {}) {
  const map = new Map(Object.entries(kept))
  return { map, getItem: (name: string) => map.get(name) ?? null, setItem: (name: string, value: string) => void map.set(name, value), removeItem: (name: string) => void map.delete(name) }
}

test('without any, everything is as the system has it', () => {
  expect(readPreferences(store())).toEqual({ theme: 'system', zone: '', density: 'normal' })
})

test('what is kept is found again, and a default is not kept', () => {
  const browser = store({ theme: 'dark' })
  keep({ theme: 'system', zone: 'Europe/Tallinn', density: 'compact' }, browser)
  expect(browser.map.has('theme')).toBe(false)
  expect(readPreferences(browser)).toEqual({ theme: 'system', zone: 'Europe/Tallinn', density: 'compact' })
})

test('what nobody here wrote is left aside', () => {
  expect(readPreferences(store({ theme: 'pink', zone: 'Mars/Base', density: '?' }))).toEqual({ theme: 'system', zone: '', density: 'normal' })
})
