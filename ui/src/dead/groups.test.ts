import { expect, test } from 'vitest'
import {
  type Breaker, breakerFor, byState, fits, type Group, type Operation, pairs, placeOf, readJson, remark, sorted, stackLines, takes, told,
  undoLeft,
} from './groups'

const plain = (text: string | undefined) => text?.replaceAll('\u00a0', ' ')
const NOW = 1_000_000

function group(changes: Partial<Group> = {}): Group {
  return {
    queue: 'email', id: 'g1', title: '', error: 'app.mail.SmtpError', frame: 'app/mail.py in send', name: 'send', text: '',
    count: 3, total: 3, firstSeen: NOW - 90_000, lastSeen: NOW - 10, sample: '7', reason: 'mailbox full', state: 'open',
    stateSince: null, stateBy: '', ignoredUntil: null, ignoredFailures: null, reopened: '', notes: 0, redacted: false, ...changes,
  }
}

function operation(changes: Partial<Operation> = {}): Operation {
  return {
    queue: 'email', id: 'o1', kind: 'retry', state: 'running', about: '', group: 'g1', by: 'user:ada', total: 24, selected: true,
    moved: 18, gone: 0, left: 6, binned: 0, final: 0, undoUntil: null, rate: 2, breaker: '', undoes: '', created: NOW, ended: null,
    ...changes,
  }
}

test.each([
  ['', true], ['queue:email', true], ['queue:kyc', false], ['error:FULL', true], ['error:smtp', true], ['where:mail.py', true],
  ['mailbox send', true], ['mailbox kyc', false], ['name:sent', false],
])('the filter %j: %s', (filter, yes) => expect(fits(group(), filter)).toBe(yes))

test('groups by state, of one queue', () => {
  const all = [group(), group({ queue: 'kyc' }), group({ state: 'ignored', count: 0 }), group({ id: 'empty', count: 0 })]
  const found = byState(all, [], 'email', '')
  expect([found.open.length, found.ignored.length, found.resolved.length]).toEqual([1, 1, 0])
  const running = [operation({ group: 'empty' })]
  expect(byState(all, running, '', '').open.map((one) => one.id)).toEqual(['g1', 'g1', 'empty'])
})

test.each([
  [{}, undefined],
  [{ firstSeen: NOW - 300 }, 'new, since 5 m'],
  [{ error: 'corral.errors.Unrecoverable' }, 'permanent, a retry cannot help by itself'],
  [{ reopened: 'resolved' }, 'failed again after it was resolved'],
  [{ state: 'ignored', ignoredUntil: NOW + 7200 }, 'ignored for 2 h 00 m more'],
  [{ state: 'ignored', ignoredFailures: 5 }, 'ignored for 5 more failures'],
  [{ state: 'resolved', stateSince: NOW - 120, stateBy: 'user:ada' }, 'resolved 2 m ago by ada'],
])('remarkable %j: %s', (changes, says) => expect(plain(remark(group(changes), NOW)?.says)).toBe(says))

test('a retry waits for the open breaker of its queue, not for another', () => {
  const breaker = (name: string, job: string, state = 'open') => ({ name, job, state }) as Breaker
  const find = (...breakers: Breaker[]) => breakerFor(group(), undefined, breakers)?.name
  expect(find(breaker('sendgrid', 'email:4'), breaker('onfido', 'kyc:1'))).toBe('sendgrid')
  expect(find(breaker('onfido', 'kyc:1'))).toBeUndefined()
  expect(find(breaker('sendgrid', 'email:4', 'closed'))).toBeUndefined()
})

test.each([
  [{}, 'Retrying 18 of 24', 0.75, ['2/s', '3.0 s left']],
  [{ state: 'waiting', breaker: 'onfido', moved: 0, left: 24 }, 'Waits until Onfido’s breaker closes', 0, ['2/s']],
  [{ state: 'waiting', selected: false, total: 0, moved: 0, left: 0 }, 'Retrying', null, ['2/s']],
  [{ state: 'stopped' }, 'Retried 18, stopped with 6 left', 1, ['2/s']],
  [{ kind: 'discard', state: 'done', moved: 20, gone: 4, left: 0, rate: null, final: 5 }, 'Discarded 20', 1,
    ['4 were gone already', '5 for good: the bin was full']],
] as const)('an operation %j', (changes, says, share, facts) => {
  const found = told(operation(changes as Partial<Operation>))
  expect([found.says, found.share, found.facts.map(plain)]).toEqual([says, share, facts])
})

test('what can still be taken back', () => {
  const discard = operation({ undoUntil: NOW + 60 })
  expect(undoLeft(discard, NOW, [discard])).toBe(60)
  expect(undoLeft(discard, NOW, [discard, operation({ id: 'o2', undoes: 'o1' })])).toBe(0)
  expect(undoLeft(operation({ undoUntil: NOW - 60 }), NOW, [])).toBe(0)
  expect(undoLeft(operation(), NOW, [])).toBe(0)
})

test('the frame that counts is marked with its code', () => {
  const trace = 'Traceback:\n  File "/srv/lib/x.py", line 1, in run\n    go()\n  File "/srv/app/mail.py", line 9, in send\n    raise X\nX: no'
  expect(stackLines(trace, 'app/mail.py in send').filter((line) => line.hot).map((line) => line.text.trim())).toEqual([
    'File "srv/app/mail.py", line 9, in send', 'raise X',
  ])
  expect(stackLines('X: no', '')).toEqual([{ text: 'X: no', hot: false }])
})

test('the fullest group first, where that is chosen', () => {
  const groups = [group({ id: 'new', count: 2 }), group({ id: 'old', count: 9 })]
  expect(sorted(groups, 'newest').map((one) => one.id)).toEqual(['new', 'old'])
  expect(sorted(groups, 'most').map((one) => one.id)).toEqual(['old', 'new'])
})

test('paces, places and what people type', () => {
  expect(plain(takes(37, 5))).toBe('in about 7.4 s')
  expect(takes(37, null)).toBe('at once')
  expect(placeOf('app/mail.py in send')).toBe('app/mail.py:send')
  expect(readJson('{"a": 1}')).toEqual({ value: { a: 1 } })
  expect(readJson('{"a": }')).toHaveProperty('error')
  expect(pairs('{"to": "a@b", "n": 3, "x": {"y": 1}}')).toEqual([['to', 'a@b'], ['n', '3'], ['x', '{"y":1}']])
  expect(pairs('{"to": "a@')).toBeNull()
  // Of data that is cut, what is whole.
  expect(pairs('{"to": "a,\\"}b", "x": [{"y": 1, "z": 2}], "n": 3, "cu')).toEqual([['to', 'a,"}b'], ['x', '[{"y":1,"z":2}]'], ['n', '3']])
  expect(pairs('[1]')).toBeNull()
})
