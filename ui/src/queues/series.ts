// What a queue did and how deep it was, as lines to draw.
import type { components } from '../api/schema'

export type StatsPage = components['schemas']['StatsPage']
export type DepthRow = components['schemas']['DepthRow']
type Span = components['schemas']['SpanRow']

export interface Range {
  key: string
  query: { minutes?: number; hours?: number }
  /** Spans that become one point: a screen has so many dots. */
  fold: number
  /** Of which changes are marks. */
  hours: number
}

export const RANGES: Range[] = [
  { key: '1 h', query: { minutes: 60 }, fold: 1, hours: 1 },
  { key: '24 h', query: { minutes: 1440 }, fold: 10, hours: 24 },
  { key: '7 d', query: { hours: 168 }, fold: 1, hours: 168 },
  { key: '90 d', query: { hours: 2160 }, fold: 12, hours: 2160 },
]

type Line = (number | null)[]

export interface Series {
  at: number[]
  /** Jobs a second. */
  arrived: number[]
  ended: number[]
  failed: number[]
  /** Seconds; null where nothing was timed: a gap, never a zero. */
  wait: Line
  run: Line
  /** Jobs, and seconds; the most of what became one point, null where nobody looked. */
  waiting: Line
  delayed: Line
  held: Line
  oldest: Line
}

/** The last span is not over: it counts for as long as it has lasted, and is left out in its first half. */
export function series(spans: Span[], depths: DepthRow[], fold: number, now = Date.now() / 1000): Series {
  const lines: Series = { at: [], arrived: [], ended: [], failed: [], wait: [], run: [], waiting: [], delayed: [], held: [], oldest: [] }
  const seen = new Map(depths.map((depth) => [depth.at, depth]))
  for (let start = 0; start < spans.length; start += fold) {
    const part = spans.slice(start, start + fold)
    const whole = part.reduce((sum, span) => sum + span.seconds, 0)
    const seconds = Math.min(whole, now - part[0]!.at)
    if (seconds < whole / 2 && start > 0) continue
    const sum = (of: (span: Span) => number) => part.reduce((all, span) => all + of(span), 0)
    const most = (of: (depth: DepthRow) => number) => worst(part.map((span) => seen.get(span.at)).map((depth) => (depth ? of(depth) : null)))
    lines.at.push(part[0]!.at)
    lines.arrived.push(sum((span) => span.arrived) / seconds)
    lines.ended.push(sum((span) => span.completed + span.failed + span.cancelled) / seconds)
    lines.failed.push(sum((span) => span.failed) / seconds)
    lines.wait.push(worst(part.map((span) => span.waitP95)))
    lines.run.push(worst(part.map((span) => span.runP95)))
    lines.waiting.push(most((depth) => depth.waiting))
    lines.delayed.push(most((depth) => depth.delayed))
    lines.held.push(most((depth) => depth.held))
    lines.oldest.push(most((depth) => depth.oldestSeconds))
  }
  return lines
}

/** The most of each `fold` values in a row; null where none was seen. */
export function folded(values: Line, fold: number): Line {
  if (fold === 1) return values
  return Array.from({ length: Math.ceil(values.length / fold) }, (_, at) => worst(values.slice(at * fold, (at + 1) * fold)))
}

export function worst(values: Line): number | null {
  const timed = values.filter((value) => value != null)
  return timed.length ? Math.max(...timed) : null
}

export const some = (values: Line) => values.some((value) => value != null && value > 0)
