import { expect, test } from 'vitest'
import { logLine, pieces } from './logLines'

test.each([
  ['applicant created', { time: '', level: '', text: 'applicant created' }],
  ['warn: 503 after 1.6 s', { time: '', level: 'warn', text: '503 after 1.6 s' }],
  ['2026-11-28T14:01:18.211Z [ERROR] no', { time: '14:01:18.211', level: 'error', text: 'no' }],
  ['errors are many', { time: '', level: '', text: 'errors are many' }],
])('%s', (row, line) => expect(logLine(row)).toEqual(line))

test('what was searched for is at the odd places', () => {
  expect(pieces('App and app', 'app')).toEqual(['', 'App', ' and ', 'app', ''])
  expect(pieces('none', 'app')).toEqual(['none'])
  expect(pieces('all', '')).toEqual(['all'])
})
