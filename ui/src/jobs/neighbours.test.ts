import { expect, test } from 'vitest'
import { neighbour, remember } from './neighbours'

test('jobs are next to each other as in the list they were opened from', () => {
  expect(neighbour('email', '2', 1)).toBeNull()
  remember('email', ['3', '2', '1'])
  expect(neighbour('email', '2', 1)).toBe('1')
  expect(neighbour('email', '2', -1)).toBe('3')
  expect(neighbour('email', '1', 1)).toBeNull()
  expect(neighbour('email', '7', 1)).toBeNull()
  expect(neighbour('reports', '2', 1)).toBeNull()
})
