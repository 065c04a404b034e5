import { useEffect, useRef, useState } from 'react'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'

export interface Line {
  name: string
  values: (number | null)[]
  tone: 'ink' | 'context' | 'hot' | 'active'
}

interface Props {
  at: number[]
  lines: Line[]
  marks: { at: number; name: string }[]
  level?: { value: number; name: string }
  /** A value with its unit. */
  write: (value: number) => string
  label: string
}

const HEIGHT = 150
const VARIABLES = { ink: '--chart-ink', context: '--chart-context', hot: '--failed-mark', active: '--active-mark' }

/** Lines over time, each named at its end; dashed lines are deploys, a dashed level is the objective. */
export function Chart({ at, lines, marks, level, write, label }: Props) {
  const box = useRef<HTMLDivElement>(null)
  const theme = useTheme()
  const shape = lines.map((line) => `${line.name} ${line.tone}`).join()
  const plot = useRef<uPlot>(null)
  const latest = useRef({ lines, marks, level, write })
  latest.current = { lines, marks, level, write }

  useEffect(() => {
    const style = getComputedStyle(document.documentElement)
    const colour = (name: string) => style.getPropertyValue(name).trim()
    const font = `11px ${getComputedStyle(document.body).fontFamily}`
    const axis = { font, stroke: colour('--text-quiet'), ticks: { show: false }, grid: { stroke: colour('--line-chart'), width: 1 } }
    const chart = new uPlot(
      {
        width: box.current!.clientWidth,
        height: HEIGHT,
        padding: [20, 72, 0, 0],
        legend: { show: false },
        cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
        scales: { x: { range: (_, least) => [least, Math.max(Date.now() / 1000, least + 60)] }, y: { range: (_, __, most) => [0, (most || 1) * 1.15] } },
        axes: [
          { ...axis, grid: { show: false }, size: 24, values: [[86_400, '{MM}-{DD}', '', '', '', '', '', '', 1], [60, '{HH}:{mm}', '', '', '', '', '', '', 1]] },
          { ...axis, size: 46, splits: (_, __, ___, most) => [most / 3, (most / 3) * 2], values: (_, splits) => splits.map((value) => latest.current.write(value)) },
        ],
        series: [{}, ...latest.current.lines.map(({ tone }) => ({ stroke: colour(VARIABLES[tone]), width: tone === 'context' ? 1.25 : 1.5, points: { show: true, size: 4, fill: colour(VARIABLES[tone]), filter: alone } }))],
        hooks: { draw: [(drawn) => annotate(drawn, latest.current, colour, font)], setCursor: [hover] },
      },
      data(at, lines),
      box.current!,
    )
    plot.current = chart
    const watch = new ResizeObserver(() => chart.setSize({ width: box.current!.clientWidth, height: HEIGHT }))
    watch.observe(box.current!)
    return () => {
      watch.disconnect()
      chart.destroy()
    }
    // Its data comes below: a new chart is made for other lines or another theme alone.
  }, [theme, shape])

  useEffect(() => plot.current?.setData(data(at, lines)), [at, lines])

  const tip = useRef<HTMLParagraphElement>(null)
  function hover(chart: uPlot) {
    const index = chart.cursor.idx
    if (!tip.current) return
    tip.current.textContent =
      index == null
        ? ''
        : `${new Date(chart.data[0][index]! * 1000).toLocaleString('en-CA', { hour12: false }).replace(',', '').slice(0, 16)} · ` +
          latest.current.lines
            .map((line) => `${line.name} ${line.values[index] == null ? '–' : latest.current.write(line.values[index])}`)
            .join(' · ')
  }

  return (
    <div className="uchart">
      <p className="tip small quiet" ref={tip} aria-hidden="true" />
      <div ref={box} role="img" aria-label={label} />
    </div>
  )
}

/** Values without a neighbour: there is no line to see them by. */
function alone(chart: uPlot, line: number): number[] {
  const values = chart.data[line]!
  return [...values.keys()].filter((n) => values[n] != null && values[n - 1] == null && values[n + 1] == null)
}

function data(at: number[], lines: Line[]): uPlot.AlignedData {
  return [at, ...lines.map((line) => line.values)]
}

function annotate(
  chart: uPlot,
  { lines, marks, level, write }: Pick<Props, 'lines' | 'marks' | 'level' | 'write'>,
  colour: (name: string) => string,
  font: string,
) {
  const { ctx, bbox } = chart
  const scale = devicePixelRatio
  ctx.save()
  ctx.font = font.replace(/^11px/, `${11 * scale}px`)
  ctx.lineWidth = scale
  ctx.setLineDash([3 * scale, 3 * scale])
  // Far below the objective it would only press the lines flat.
  if (level && level.value <= chart.scales.y!.max!) {
    const y = chart.valToPos(level.value, 'y', true)
    ctx.strokeStyle = ctx.fillStyle = colour('--text-quiet')
    stroke(ctx, bbox.left, y, bbox.left + bbox.width, y)
    ctx.textBaseline = 'bottom'
    ctx.fillText(level.name, bbox.left + 4 * scale, y - 2 * scale)
  }
  ctx.strokeStyle = colour('--line-strong')
  ctx.fillStyle = colour('--text-muted')
  for (const mark of marks) {
    if (mark.at < chart.scales.x!.min!) continue
    const x = chart.valToPos(mark.at, 'x', true)
    stroke(ctx, x, bbox.top - 14 * scale, x, bbox.top + bbox.height)
    const right = x > bbox.left + bbox.width / 2
    ctx.textAlign = right ? 'right' : 'left'
    ctx.textBaseline = 'top'
    ctx.fillText(`◇ ${mark.name}`, x + (right ? -4 : 4) * scale, bbox.top - 16 * scale)
  }
  ctx.setLineDash([])
  ctx.textAlign = 'left'
  ctx.textBaseline = 'middle'
  // The names stand at the lines' ends, apart from each other.
  const ends = lines
    .map((line) => ({ line, value: line.values.findLast((value) => value != null) }))
    .filter((end) => end.value != null)
    .map((end) => ({ ...end, y: chart.valToPos(end.value!, 'y', true) }))
    .sort((a, b) => a.y - b.y)
  let lowest = -Infinity
  for (const { line, value, y } of ends) {
    lowest = Math.max(y, lowest + 14 * scale)
    ctx.fillStyle = colour(line.tone === 'hot' ? '--failed-text' : line.tone === 'context' ? '--text-muted' : '--text')
    ctx.fillText(`${line.name} ${write(value!)}`, bbox.left + bbox.width + 8 * scale, Math.min(lowest, bbox.top + bbox.height - (ends.length - 1 - ends.findIndex((end) => end.line === line)) * 14 * scale))
  }
  ctx.restore()
}

function stroke(ctx: CanvasRenderingContext2D, x1: number, y1: number, x2: number, y2: number) {
  ctx.beginPath()
  ctx.moveTo(x1, y1)
  ctx.lineTo(x2, y2)
  ctx.stroke()
}

/** Changes whenever the colours do. */
function useTheme(): string {
  const read = () => `${document.documentElement.dataset.theme ?? ''} ${matchMedia('(prefers-color-scheme: dark)').matches}`
  const [theme, setTheme] = useState(read)
  useEffect(() => {
    const watch = new MutationObserver(() => setTheme(read()))
    watch.observe(document.documentElement, { attributeFilter: ['data-theme'] })
    return () => watch.disconnect()
  }, [])
  return theme
}
