import { expect, test } from 'vitest'
import { byHost, currentVersion, leftBehind, markOf, MOST_PICKETS, pickets, skewSentence, type Worker } from './fleet'

function worker(name: string, more: Partial<Worker> = {}): Worker {
  return {
    name, host: 'a', pid: 1, version: '2', queues: ['q'], slots: 4, busy: 1, jobs: [], memoryBytes: 10, cpuPercent: 0,
    loopLagSeconds: 0, startedAt: 100, beatAt: 200, quiet: false, places: [], replaces: '', done: 0, donePerSecond: 0, ...more,
  }
}

test('workers stand by host, ten after nine', () => {
  const hosts = byHost([worker('w-10', { host: 'b' }), worker('w-9', { host: 'b' }), worker('w-1')])
  expect(hosts.map((host) => [host.name, host.workers.map((w) => w.name), host.slots])).toEqual([
    ['a', ['w-1'], 4],
    ['b', ['w-9', 'w-10'], 8],
  ])
})

test('what started last is what is deployed', () => {
  const fleet = [worker('old', { version: '1', startedAt: 5 }), worker('new'), worker('new-2')]
  expect(currentVersion(fleet)).toBe('2')
  expect(leftBehind(fleet).map((w) => w.name)).toEqual(['old'])
  expect(skewSentence(fleet)).toEqual({ who: 'old runs 1', others: 'the other 2 run 2' })
  expect(skewSentence([worker('a'), worker('b')])).toBeNull()
  expect(currentVersion([])).toBeNull()
})

test('silence weighs more than quiet, and quiet more than an old version', () => {
  expect(markOf(worker('w'), '2', 201)).toBe('running')
  expect(markOf(worker('w', { version: '1' }), '2', 201)).toBe('behind')
  expect(markOf(worker('w', { version: '1', quiet: true }), '2', 201)).toBe('quiet')
  expect(markOf(worker('w', { quiet: true }), '2', 230)).toBe('silent')
})

test('while nobody can hear beats, and until the next ones were due, nothing is said of a worker', () => {
  expect(markOf(worker('w'), '2', 201, null)).toBe('unknown')
  expect(markOf(worker('w', { quiet: true, version: '1' }), '2', 900, null)).toBe('unknown')
  expect(markOf(worker('w'), '2', 260, 250)).toBe('unknown')
  expect(markOf(worker('w', { beatAt: 259 }), '2', 260, 250)).toBe('running')
  expect(markOf(worker('w'), '2', 263, 250)).toBe('silent')
})

test('slots of one queue stand together, busy ones first', () => {
  const drawn = pickets(worker('w', { places: [{ queue: 'a', slots: 2, busy: 1 }, { queue: 'b', slots: 1, busy: 1 }] }))
  expect(drawn.posts).toEqual([{ x: 1, busy: true }, { x: 5, busy: false }, { x: 13, busy: true }])
  expect(pickets(worker('w')).posts).toHaveLength(4)
  const busy = (of: Partial<Worker>) => pickets(worker('w', of)).posts.map((post) => post.busy)
  expect(busy({ slots: 1_000, busy: 1 })).toEqual([true, ...Array<boolean>(MOST_PICKETS - 1).fill(false)])
  const places = [{ queue: 'a', slots: 2_500, busy: 1_250 }, { queue: 'b', slots: 4, busy: 3 }, { queue: 'c', slots: 40, busy: 0 }]
  expect(busy({ slots: 2_544, places })).toHaveLength(20 + 4 + 20)
  expect(busy({ slots: 2_544, places }).filter(Boolean)).toHaveLength(10 + 3)
})
