import { expect, test } from 'vitest'
import type { JobRun } from './api'
import { compare, editBetween, traceDiff } from './compare'
import { matches } from './logLines'
import { around } from './neighbours'

const run = (changes: Partial<JobRun>): JobRun => ({
  number: 1, startedAt: 10, endedAt: 12, worker: 'w1', outcome: 'failed', spent: true, wait: null, errorType: 'app.Busy', message: 'no', trace: null, ...changes,
})

test('two runs are told apart', () => {
  const rows = compare(run({}), run({ startedAt: 20, endedAt: 22, worker: 'w2', outcome: 'dead' }), String)
  expect(rows.filter((row) => row.differs).map((row) => row.name)).toEqual(['Outcome', 'Worker'])
  expect(rows.find((row) => row.name === 'Error')).toMatchObject({ older: 'Busy', newer: 'Busy' })
})

test('an edit between them is found', () => {
  const change = (at: number, facts: Record<string, unknown>) => ({ id: String(at), at, actor: 'user:ada', action: 'job.change', target: 'q:7', facts })
  const [older, newer] = [run({}), run({ startedAt: 20 })]
  expect(editBetween(older, newer, [change(15, { priority: 1 }), change(16, { dataBytes: 4 })])?.at).toBe(16)
  expect(editBetween(older, newer, [change(25, { dataBytes: 4 })])).toBeUndefined()
})

test('traces are compared line by line', () => {
  const signs = traceDiff('A: x\none\ntwo', 'A: x\ntwo\nthree').map((line) => line.sign + line.text.trim())
  expect(signs).toEqual([' A: x', '-one', ' two', '+three'])
})

test('the jobs beside one are those of its list', () => {
  expect(around(['1', '2', '3'], '2')).toEqual({ previous: '1', next: '3' })
  expect(around(['1'], '1')).toEqual({ previous: null, next: null })
  expect(around(['1'], '9')).toBeNull()
})

test('a search of the log finds lines, whatever the case', () => {
  const line = (text: string) => ({ level: '' as const, time: '', text })
  expect(matches([line('Applicant made'), line('no'), line('APPLICANT kept')], 'applicant')).toEqual([0, 2])
  expect(matches([line('a')], '')).toEqual([])
})
