// From the answers of the server to the rows and lines of a drawn flow. Pure.
import type { components } from '../api/schema'

export type FlowNode = components['schemas']['FlowNodeRow']
export type FlowView = components['schemas']['FlowView']

export const keyOf = (job: { queue: string; id: string }): string => `${job.queue}:${job.id}`

export const childrenOf = (node: Pick<FlowNode, 'pending' | 'completed' | 'ignored' | 'failed'>): number =>
  node.pending + node.completed + node.ignored + node.failed

/** A row of the tree: a job, or the children of one that are not shown yet. */
export interface Row {
  key: string
  node: FlowNode
  /** From 1 on. */
  level: number
  /** Its place among its siblings, from 1 on, and how many there are. */
  place: number
  siblings: number
  /** The row's key above it; '' for the root. */
  above: string
  /** Children of `node` that are not shown: the row offers them. 0: the row is the job itself. */
  more: number
}

/** All jobs once: the first answer that has one decides where it stands, the freshest what is said of it. */
export function merged(nodes: FlowNode[], further: FlowNode[]): FlowNode[] {
  const found = new Map(nodes.map((node) => [keyOf(node), node]))
  for (const node of further) if (!found.has(keyOf(node))) found.set(keyOf(node), node)
  return [...found.values()]
}

/** The tree from top to bottom, parents before children; after the last shown child the row for the others. */
export function rowsOf(nodes: FlowNode[]): Row[] {
  const below = new Map<string, FlowNode[]>()
  for (const node of nodes) {
    const above = node.parent ? keyOf(node.parent) : ''
    below.set(above, [...(below.get(above) ?? []), node])
  }
  const rows: Row[] = []
  const put = (siblings: FlowNode[], above: string, level: number, others: number): void => {
    siblings.forEach((node, at) => {
      const key = keyOf(node)
      rows.push({ key, node, level, place: at + 1, siblings: siblings.length + (others > 0 ? 1 : 0), above, more: 0 })
      const children = below.get(key) ?? []
      const left = Math.max(0, childrenOf(node) - children.length)
      put(children, key, level + 1, left)
      if (left > 0) {
        rows.push({ key: `${key} more`, node, level: level + 1, place: children.length + 1, siblings: children.length + 1, above: key, more: left })
      }
    })
  }
  put(below.get('') ?? [], '', 1, 0)
  return rows
}

/** Wide enough for a UUID: ids are not cut. */
export const WIDTH = 284
export const HEIGHT = 40
const COLUMN = WIDTH + 40
const LINE = HEIGHT + 8
const BEND = 8

export interface Placed {
  row: Row
  x: number
  y: number
}

export interface Edge {
  key: string
  path: string
  tone: Tone
}

export interface Drawing {
  placed: Placed[]
  edges: Edge[]
  width: number
  height: number
}

const TONES = ['open', 'done', 'ignored', 'failed'] as const
export type Tone = (typeof TONES)[number]

/** What a line to a child says: it is done, it failed the parent, its failure was survived, or it is open. */
export function toneOf(row: Row): Tone {
  if (row.more > 0) return 'open'
  if (row.node.outcome === 'ignored') return 'ignored'
  if (row.node.outcome === 'failed' || row.node.status === 'failed') return 'failed'
  return row.node.outcome === 'completed' ? 'done' : 'open'
}

/** Where each row is drawn: levels are columns, leaves are lines, a parent is on the line of its first child. */
export function drawn(rows: Row[]): Drawing {
  let line = 0
  const placed = rows.map((row, at) => {
    const one = { row, x: (row.level - 1) * COLUMN, y: line * LINE }
    if (rows[at + 1]?.above !== row.key) line += 1
    return one
  })
  const place = new Map(placed.map((one) => [one.row.key, one]))
  const edges = placed.flatMap(({ row, x, y }) => {
    const from = place.get(row.above)
    return from ? [{ key: row.key, path: bracket(from.x + WIDTH, from.y + HEIGHT / 2, x, y + HEIGHT / 2), tone: toneOf(row) }] : []
  })
  // What is wrong is drawn last: where lines share their way, it is on top.
  edges.sort((a, b) => TONES.indexOf(a.tone) - TONES.indexOf(b.tone))
  return { placed, edges, width: Math.max(0, ...placed.map((one) => one.x + WIDTH)), height: Math.max(0, line - 1) * LINE + HEIGHT }
}

/** Out of the parent, down a line that all its children share, and into the child. */
function bracket(fromX: number, fromY: number, toX: number, toY: number): string {
  const spine = fromX + 14
  if (toY === fromY) return `M${fromX} ${fromY}H${toX}`
  return `M${fromX} ${fromY}H${spine}V${toY - BEND}q0 ${BEND} ${BEND} ${BEND}H${toX}`
}

/** The row that a key of the keyboard leads to; null: it is none of the tree's keys. */
export function step(rows: Row[], from: string, pressed: string): string | null {
  const here = rows.findIndex((row) => row.key === from)
  const row = rows[here]
  if (!row) return rows[0]?.key ?? null
  switch (pressed) {
    case 'ArrowDown':
      return rows[Math.min(rows.length - 1, here + 1)]!.key
    case 'ArrowUp':
      return rows[Math.max(0, here - 1)]!.key
    case 'ArrowLeft':
      return row.above || from
    case 'ArrowRight':
      return rows[here + 1]?.above === from ? rows[here + 1]!.key : from
    case 'Home':
      return rows[0]!.key
    case 'End':
      return rows[rows.length - 1]!.key
    default:
      return null
  }
}

export const ZOOMS = [0.4, 0.5, 0.65, 0.8, 1, 1.25, 1.5]

/** The next zoom above or below. */
export function zoomed(now: number, by: 1 | -1): number {
  const larger = ZOOMS.filter((zoom) => zoom > now + 0.001)
  const smaller = ZOOMS.filter((zoom) => zoom < now - 0.001)
  return by > 0 ? (larger[0] ?? now) : (smaller[smaller.length - 1] ?? now)
}

/** The zoom to read at: as wide as its place, but not so small that one has to guess. */
export function readable(drawing: Drawing, width: number): number {
  return Math.max(0.8, fitting(drawing, width, Infinity))
}

/** The zoom at which all of the drawing is seen; never larger than life. */
export function fitting(drawing: Drawing, width: number, height: number): number {
  if (drawing.width === 0 || width <= 0 || height <= 0) return 1
  return Math.max(ZOOMS[0]!, Math.min(1, width / drawing.width, height / drawing.height))
}
