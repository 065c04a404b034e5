import { expect, test } from 'vitest'
import { EMPTY_KEY, endsSoon, find, inOrder, type Key, keyOf, type Setting } from './settings'

const setting = (name: string, more: Partial<Setting> = {}): Setting => ({ name, group: 'Worker', doc: '', secret: false, set: false, value: '', default: '', source: 'default', ...more })
const key = (more: Partial<Key>): Key => ({ id: '1', name: 'shop', role: 'enqueue', state: 'active', queues: null, expires: null, rate: null, note: '', created: 1, createdBy: 'user:ada', lastUsed: null, revoked: null, replacedBy: null, ...more })

test('every word must be said somewhere', () => {
  const all = [setting('CORRAL_LOCK_SECONDS', { doc: 'How long a lock lasts' }), setting('REDIS_URL', { group: 'Redis', value: 'redis://cache', set: true })]
  expect(find(all, '', false).map(([group]) => group)).toEqual(['Worker', 'Redis'])
  expect(find(all, 'lock long', false)).toEqual([['Worker', [all[0]]]])
  expect(find(all, 'cache', false)).toEqual([['Redis', [all[1]]]])
  expect(find(all, '', true)).toEqual([['Redis', [all[1]]]])
})

test('a draft becomes a key', () => {
  expect(keyOf(EMPTY_KEY, 1000.4)).toEqual({ name: '', role: 'enqueue', queues: null, expires: 1000 + 90 * 86_400, rate: null, note: '' })
  expect(keyOf({ ...EMPTY_KEY, name: ' shop ', queues: 'a, b,', days: 0, rate: '100/s' }, 0)).toMatchObject({ name: 'shop', queues: ['a', 'b'], expires: null, rate: '100/s' })
})

test('what is in force comes first', () => {
  expect(inOrder([key({ id: 'r', state: 'revoked' }), key({ id: 'a' }), key({ id: 'p', state: 'replaced' }), key({ id: 'b', created: 2 })]).map((one) => one.id)).toEqual(['b', 'a', 'p', 'r'])
})

test('a key that ends soon is worth a look', () => {
  expect([endsSoon(key({ expires: 100 }), 0), endsSoon(key({ expires: 9e9 }), 0), endsSoon(key({ expires: 100, state: 'expired' }), 0)]).toEqual([true, false, false])
})
