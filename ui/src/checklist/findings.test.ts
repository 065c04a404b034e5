import { expect, test } from 'vitest'
import { type Finding, grouped, isBad, verdict } from './findings'

function finding(check: string, subject: string, status: string): Finding {
  return { check, subject, status, found: '', remedy: '' }
}

test('by subject in their order, the worst of each first', () => {
  const groups = grouped([
    finding('a', 'redis', 'ok'),
    finding('b', 'workers', 'note'),
    finding('c', 'redis', 'failure'),
    finding('d', 'redis', 'warning'),
  ])
  expect(groups.map((group) => [group.subject, group.findings.map((one) => one.check)])).toEqual([
    ['Redis', ['c', 'd', 'a']],
    ['Workers', ['b']],
  ])
})

test('what nobody could look at needs a look, a note does not', () => {
  expect(['ok', 'note', 'unknown', 'warning', 'failure'].map((status) => isBad(finding('a', 'redis', status)))).toEqual([
    false, false, true, true, true,
  ])
})

test('the verdict', () => {
  expect(verdict({ failure: 1, warning: 5 })).toBe('One thing to repair before production')
  expect(verdict({ failure: 3 })).toBe('3 things to repair before production')
  expect(verdict({ warning: 1 })).toBe('Ready, with one thing to look at')
  expect(verdict({ unknown: 2 })).toBe('Ready, as far as could be seen')
  expect(verdict({})).toBe('Ready for production')
})
