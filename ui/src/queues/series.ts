// What a queue did, as lines to draw.
import type { components } from '../api/schema'

export type StatsPage = components['schemas']['StatsPage']
type Span = components['schemas']['SpanRow']

export interface Range {
  key: string
  query: { minutes?: number; hours?: number }
  /** Spans that become one point: a screen has so many dots. */
  fold: number
}

export const RANGES: Range[] = [
  { key: '1 h', query: { minutes: 60 }, fold: 1 },
  { key: '24 h', query: { minutes: 1440 }, fold: 10 },
  { key: '7 d', query: { hours: 168 }, fold: 1 },
  { key: '90 d', query: { hours: 2160 }, fold: 12 },
]

export interface Series {
  at: number[]
  /** Jobs a second. */
  arrived: number[]
  ended: number[]
  failed: number[]
  /** Seconds; null where nothing was timed: a gap, never a zero. */
  wait: (number | null)[]
  run: (number | null)[]
}

/** The last span is not over: it counts for as long as it has lasted, and is left out in its first half. */
export function series(spans: Span[], fold: number, now = Date.now() / 1000): Series {
  const lines: Series = { at: [], arrived: [], ended: [], failed: [], wait: [], run: [] }
  for (let start = 0; start < spans.length; start += fold) {
    const part = spans.slice(start, start + fold)
    const whole = part.reduce((sum, span) => sum + span.seconds, 0)
    const seconds = Math.min(whole, now - part[0]!.at)
    if (seconds < whole / 2 && start > 0) continue
    const sum = (of: (span: Span) => number) => part.reduce((all, span) => all + of(span), 0)
    lines.at.push(part[0]!.at)
    lines.arrived.push(sum((span) => span.arrived) / seconds)
    lines.ended.push(sum((span) => span.completed + span.failed) / seconds)
    lines.failed.push(sum((span) => span.failed) / seconds)
    lines.wait.push(worst(part.map((span) => span.waitP95)))
    lines.run.push(worst(part.map((span) => span.runP95)))
  }
  return lines
}

function worst(values: (number | null)[]): number | null {
  const timed = values.filter((value) => value != null)
  return timed.length ? Math.max(...timed) : null
}
