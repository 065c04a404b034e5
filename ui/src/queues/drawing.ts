// What a chart draws over its lines: the marks, the objective and the lines' names. And the theme's colours.
import { useEffect, useState } from 'react'
import type uPlot from 'uplot'
import { type Mark, named } from './marks'

export type { Mark }

export interface Line {
  name: string
  values: (number | null)[]
  tone: 'ink' | 'context' | 'hot' | 'active'
  /** The area below it. */
  fill?: boolean
}

export interface Drawn {
  lines: Line[]
  marks: Mark[]
  level?: { value: number; name: string }
  /** A value with its unit. */
  write: (value: number) => string
}

export const VARIABLES = { ink: '--chart-ink', context: '--chart-context', hot: '--failed-mark', active: '--active-mark' }

/** Pixels within which the pointer means a mark. */
export const NEAR_MARK = 6

const SIGNS = { deploy: '◇', scaling: '↗', alert: '!' }
/** Pixels between the names of two lines. */
const LEADING = 14

export function annotate(chart: uPlot, { lines, marks, level, write }: Drawn, colour: (name: string) => string, font: string) {
  const { ctx, bbox } = chart
  const scale = devicePixelRatio
  const bottom = bbox.top + bbox.height
  ctx.save()
  ctx.font = font.replace(/^11px/, `${11 * scale}px`)
  ctx.lineWidth = scale
  ctx.textAlign = 'left' // the axes have drawn last, and leave theirs
  ctx.setLineDash([3 * scale, 3 * scale])
  // Far below the objective it would only press the lines flat.
  if (level && level.value <= chart.scales.y!.max!) {
    const y = chart.valToPos(level.value, 'y', true)
    ctx.strokeStyle = ctx.fillStyle = colour('--text-quiet')
    stroke(ctx, bbox.left, y, bbox.left + bbox.width, y)
    ctx.textBaseline = 'bottom'
    ctx.fillText(level.name, bbox.left + 4 * scale, y - 2 * scale)
  }
  const shown = marks
    .filter((mark) => mark.at >= chart.scales.x!.min!)
    .map((mark) => {
      const [x, text] = [chart.valToPos(mark.at, 'x', true), `${SIGNS[mark.kind]} ${mark.name}`]
      const right = x > bbox.left + bbox.width / 2
      const width = ctx.measureText(text).width + 8 * scale
      return { mark, text, x, right, kind: mark.kind, from: right ? x - width : x, to: right ? x : x + width }
    })
  const says = named(shown)
  for (const { mark, x } of shown) {
    const bad = mark.kind === 'alert'
    ctx.setLineDash(bad ? [] : [3 * scale, 3 * scale])
    ctx.strokeStyle = colour(bad ? '--failed-mark' : '--line-strong')
    stroke(ctx, x, bbox.top - LEADING * scale, x, bottom)
  }
  for (const [n, { mark, text, x, right, from, to }] of shown.entries()) {
    if (!says[n]) continue
    ctx.fillStyle = colour(mark.kind === 'alert' ? '--failed-text' : '--text-muted')
    ctx.textAlign = right ? 'right' : 'left'
    ctx.textBaseline = 'top'
    ctx.save() // so that a line behind the name does not strike it through
    ctx.fillStyle = colour('--surface-page')
    ctx.fillRect(right ? from + 2 * scale : x + 2 * scale, bbox.top - 17 * scale, to - from - 4 * scale, LEADING * scale)
    ctx.restore()
    ctx.fillText(text, x + (right ? -4 : 4) * scale, bbox.top - 16 * scale)
  }
  ctx.setLineDash([])
  ctx.textAlign = 'left'
  ctx.textBaseline = 'middle'
  for (const { line, value, y } of ends(chart, lines, scale)) {
    ctx.fillStyle = colour(line.tone === 'hot' ? '--failed-text' : line.tone === 'context' ? '--text-muted' : '--text')
    const end = ` ${write(value)}`
    const room = ctx.canvas.width - bbox.left - bbox.width - 10 * scale - ctx.measureText(end).width
    ctx.fillText(fitting(ctx, line.name, room) + end, bbox.left + bbox.width + 8 * scale, y)
  }
  ctx.restore()
}

/** As much of a name as there is room for; the table has it whole. */
function fitting(ctx: CanvasRenderingContext2D, name: string, room: number): string {
  let text = name
  while (text.length > 1 && ctx.measureText(text).width > room) text = `${text.slice(0, -2)}…`
  return text
}

/** Round values up to `most`, two or three of them, no closer than `least`: 1 for what comes whole. */
export function ticks(most: number, least = 0): number[] {
  const rough = Math.max(most / 3, least)
  const ten = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 5, 10].map((times) => times * ten).find((one) => one >= rough)!
  return [1, 2, 3].map((times) => times * step).filter((value) => value <= most)
}

/** The names stand at the lines' ends, apart from each other and within the chart. */
function ends(chart: uPlot, lines: Line[], scale: number) {
  const { bbox } = chart
  const found = lines
    .map((line) => ({ line, value: line.values.findLast((value) => value != null) }))
    .filter((end): end is { line: Line; value: number } => end.value != null)
    .map((end) => ({ ...end, y: chart.valToPos(end.value, 'y', true) }))
    .sort((a, b) => a.y - b.y)
  let lowest = -Infinity
  return found.map((end, n) => {
    lowest = Math.max(end.y, lowest + LEADING * scale)
    return { ...end, y: Math.min(lowest, bbox.top + bbox.height - (found.length - 1 - n) * LEADING * scale) }
  })
}

function stroke(ctx: CanvasRenderingContext2D, x1: number, y1: number, x2: number, y2: number) {
  ctx.beginPath()
  ctx.moveTo(x1, y1)
  ctx.lineTo(x2, y2)
  ctx.stroke()
}

/** Changes whenever the colours do. */
export function useTheme(): string {
  const read = () => `${document.documentElement.dataset.theme ?? ''} ${matchMedia('(prefers-color-scheme: dark)').matches}`
  const [theme, setTheme] = useState(read)
  useEffect(() => {
    const watch = new MutationObserver(() => setTheme(read()))
    watch.observe(document.documentElement, { attributeFilter: ['data-theme'] })
    return () => watch.disconnect()
  }, [])
  return theme
}
