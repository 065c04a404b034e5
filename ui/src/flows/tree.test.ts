import { expect, test } from 'vitest'
import { drawn, fitting, type FlowNode, HEIGHT, keyOf, merged, readable, type Row, rowsOf, step, toneOf, WIDTH, ZOOMS, zoomed } from './tree'

function node(id: string, parent: string | null, more: Partial<FlowNode> = {}): FlowNode {
  return {
    queue: 'q', id, name: id, status: 'waiting', parent: parent === null ? null : { queue: 'q', id: parent }, outcome: parent === null ? null : 'pending',
    onFailure: null, pending: 0, completed: 0, ignored: 0, failed: 0, startedAt: null, finishedAt: null, failedReason: null, result: null, stuck: null, ...more,
  }
}

/** root: a with a1 and a2 (and three more), b. */
const FLOW = [node('root', null, { pending: 2 }), node('a', 'root', { pending: 4, completed: 1 }), node('a1', 'a'), node('a2', 'a'), node('b', 'root')]
const shape = (rows: Row[]) => rows.map((row) => `${' '.repeat(row.level - 1)}${row.more > 0 ? `+${row.more}` : row.node.id}`)

test('rows are the tree from top to bottom, with what is not shown behind the shown children', () => {
  expect(shape(rowsOf(FLOW))).toEqual(['root', ' a', '  a1', '  a2', '  +3', ' b'])
})

test('each row knows its place among its siblings', () => {
  const rows = rowsOf(FLOW)
  expect(rows.map((row) => [row.place, row.siblings])).toEqual([[1, 1], [1, 2], [1, 3], [2, 3], [3, 3], [2, 2]])
  expect(rows.map((row) => row.above)).toEqual(['', 'q:root', 'q:a', 'q:a', 'q:a', 'q:root'])
})

test('children that were asked for come behind those that were there, each once', () => {
  const further = [node('a2', 'a'), node('a3', 'a'), node('a4', 'a'), node('a5', 'a')]
  expect(shape(rowsOf(merged(FLOW, further)))).toEqual(['root', ' a', '  a1', '  a2', '  a3', '  a4', '  a5', ' b'])
  expect(merged(FLOW, further)).toHaveLength(8)
})

test('of a job that is in both answers, the first one is shown', () => {
  expect(merged([node('a', null, { status: 'failed' })], [node('a', null)])[0]!.status).toBe('failed')
})

test('nothing drawn lies on something else, and a parent is on the line of its first child', () => {
  const { placed } = drawn(rowsOf(FLOW))
  const at = new Map(placed.map((one) => [one.row.key, one]))
  for (const one of placed) {
    for (const other of placed) {
      if (one === other) continue
      const apart = one.x + WIDTH <= other.x || other.x + WIDTH <= one.x || one.y + HEIGHT <= other.y || other.y + HEIGHT <= one.y
      expect(apart, `${one.row.key} on ${other.row.key}`).toBe(true)
    }
  }
  expect(at.get('q:a')!.y).toBe(at.get('q:a1')!.y)
  expect(at.get('q:root')!.y).toBe(at.get('q:a')!.y)
  expect(at.get('q:b')!.y).toBeGreaterThan(at.get('q:a more')!.y)
})

test('the drawing is as large as what is in it, and each row but the root has a line', () => {
  const drawing = drawn(rowsOf(FLOW))
  expect(drawing.edges.map((edge) => edge.key)).toEqual(['q:a', 'q:a1', 'q:a2', 'q:a more', 'q:b'])
  expect(drawing.width).toBe(Math.max(...drawing.placed.map((one) => one.x)) + WIDTH)
  expect(drawing.height).toBe(Math.max(...drawing.placed.map((one) => one.y)) + HEIGHT)
  expect(drawn([])).toEqual({ placed: [], edges: [], width: 0, height: expect.any(Number) })
})

test('a line that tells of a failure is drawn over the others', () => {
  const rows = rowsOf([node('root', null, { pending: 3 }), node('a', 'root', { outcome: 'failed' }), node('b', 'root'), node('c', 'root', { outcome: 'completed' })])
  expect(drawn(rows).edges.map((edge) => edge.key)).toEqual(['q:b', 'q:c', 'q:a'])
})

test('a wide flow is drawn in time', () => {
  const wide = [node('root', null, { pending: 2_000 }), ...Array.from({ length: 2_000 }, (_, at) => node(`c${at}`, 'root'))]
  expect(drawn(rowsOf(wide)).placed).toHaveLength(2_001)
})

test('a line tells what its child did to its parent', () => {
  const tone = (more: Partial<FlowNode>) => toneOf(rowsOf([node('root', null, { pending: 1 }), node('a', 'root', more)])[1]!)
  expect(tone({})).toBe('open')
  expect(tone({ outcome: 'completed', status: 'completed' })).toBe('done')
  expect(tone({ outcome: 'completed', status: 'gone' })).toBe('done')
  expect(tone({ outcome: 'ignored', status: 'failed' })).toBe('ignored')
  expect(tone({ outcome: 'failed', status: 'failed' })).toBe('failed')
  expect(tone({ outcome: 'pending', status: 'failed' })).toBe('failed')
})

test('arrows walk the tree as a reader of trees expects', () => {
  const rows = rowsOf(FLOW)
  const walk = (...keys: string[]) => keys.reduce((from, key) => step(rows, from, key) ?? from, 'q:root')
  expect(walk('ArrowDown')).toBe('q:a')
  expect(walk('ArrowRight', 'ArrowRight')).toBe('q:a1')
  expect(walk('ArrowRight', 'ArrowRight', 'ArrowRight')).toBe('q:a1')
  expect(walk('End')).toBe('q:b')
  expect(walk('End', 'ArrowDown')).toBe('q:b')
  expect(walk('End', 'ArrowLeft')).toBe('q:root')
  expect(walk('End', 'ArrowUp', 'ArrowLeft')).toBe('q:a')
  expect(walk('ArrowUp')).toBe('q:root')
  expect(walk('End', 'Home')).toBe('q:root')
  expect(step(rows, 'q:root', 'x')).toBe(null)
  expect(step(rows, 'gone', 'ArrowDown')).toBe('q:root')
})

test('zoom goes in steps and stops at its ends', () => {
  expect(zoomed(1, 1)).toBe(1.25)
  expect(zoomed(0.7, -1)).toBe(0.65)
  expect(zoomed(ZOOMS[0]!, -1)).toBe(ZOOMS[0])
  expect(zoomed(1.5, 1)).toBe(1.5)
})

test('fit shows all of it, never larger than life, never too small to see', () => {
  const drawing = { placed: [], edges: [], width: 1_000, height: 400 }
  expect(fitting(drawing, 500, 400)).toBe(0.5)
  expect(fitting(drawing, 5_000, 4_000)).toBe(1)
  expect(fitting(drawing, 10, 10)).toBe(ZOOMS[0])
  expect(fitting(drawing, 0, 0)).toBe(1)
  expect(readable(drawing, 900)).toBe(0.9)
  expect(readable(drawing, 300)).toBe(0.8)
  expect(readable({ ...drawing, height: 90_000 }, 2_000)).toBe(1)
})

test('a key names a job over all queues', () => {
  expect(keyOf({ queue: 'a', id: 'b:c' })).toBe('a:b:c')
})
