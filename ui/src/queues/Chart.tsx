import { useEffect, useRef } from 'react'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { count, rate, shownZone, stamp } from '../format'
import { texts } from '../texts'
import { ChartTable } from './ChartTable'
import { annotate, type Drawn, NEAR_MARK, ticks, useTheme, VARIABLES } from './drawing'
import type { Line } from './drawing'

interface Props extends Drawn {
  at: number[]
  /** Its name, for who cannot see it. */
  label: string
  height?: number
  /** Room on the right for the lines' names. */
  room?: number
}

/** What a character of an axis takes at most, nearly. */
const DIGIT_PX = 6

/** The nearest that two ticks may be and still read differently. */
const LEAST = new Map([[count, 1], [rate, 0.1]])

/** The lowest top of a scale, in such steps: one job that comes and goes is no mountain. */
const LEAST_TOP = 5

/** Lines over time, each named at its end. Dashed: a deploy, scaling or the objective; solid red: an alert. */
export function Chart({ at, lines, marks, level, write, label, height = 150, room = 100 }: Props) {
  const box = useRef<HTMLDivElement>(null)
  const tip = useRef<HTMLParagraphElement>(null)
  const theme = useTheme()
  const shape = lines.map((line) => `${line.name} ${line.tone} ${line.fill ?? ''}`).join()
  const plot = useRef<uPlot>(null)
  const latest = useRef<Drawn>({ lines, marks, level, write })
  latest.current = { lines, marks, level, write }

  useEffect(() => {
    const style = getComputedStyle(document.documentElement)
    const colour = (name: string) => style.getPropertyValue(name).trim()
    const font = `11px ${getComputedStyle(document.body).fontFamily}`
    const axis = { font, stroke: colour('--text-quiet'), ticks: { show: false }, grid: { stroke: colour('--line-chart'), width: 1 } }
    const hover = (chart: uPlot) => {
      if (tip.current) tip.current.textContent = told(chart, latest.current)
    }
    const chart = new uPlot(
      {
        width: box.current!.clientWidth,
        height,
        padding: [20, room, 0, 0],
        legend: { show: false },
        tzDate: (seconds) => {
          const [at, zone] = [new Date(seconds * 1000), shownZone()]
          return zone ? uPlot.tzDate(at, zone) : at
        },
        cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
        scales: { x: { range: (_, least) => [least, Math.max(Date.now() / 1000, least + 60)] }, y: { range: (_, __, most) => [0, Math.max(most || 1, LEAST_TOP * (LEAST.get(latest.current.write) ?? 0)) * 1.15] } },
        axes: [
          { ...axis, grid: { show: false }, size: 24, values: [[86_400, '{MM}-{DD}', '', '', '', '', '', '', 1], [60, '{HH}:{mm}', '', '', '', '', '', '', 1]] },
          { ...axis, size: (_, texts) => Math.max(46, 14 + DIGIT_PX * Math.max(0, ...(texts ?? []).map((text) => text.length))), splits: (_, __, ___, most) => ticks(most, LEAST.get(latest.current.write) ?? 0), values: (_, splits) => splits.map((value) => latest.current.write(value).replace('.0\u00a0', '\u00a0')) },
        ],
        series: [
          {},
          ...latest.current.lines.map(({ tone, fill }) => ({
            stroke: colour(VARIABLES[tone]),
            ...(fill && { fill: tone === 'hot' ? `${colour('--failed-mark')}17` : colour('--chart-fill') }),
            width: tone === 'context' ? 1.25 : 1.5,
            points: { show: true, size: 4, fill: colour(VARIABLES[tone]), filter: alone },
          })),
        ],
        hooks: { draw: [(drawn) => annotate(drawn, latest.current, colour, font)], setCursor: [hover] },
      },
      data(at, lines),
      box.current!,
    )
    plot.current = chart
    const watch = new ResizeObserver(() => chart.setSize({ width: box.current!.clientWidth, height }))
    watch.observe(box.current!)
    return () => {
      watch.disconnect()
      chart.destroy()
    }
    // Its data comes below: a new chart is made for other lines or another theme alone.
  }, [theme, shape, height, room])

  useEffect(() => plot.current?.setData(data(at, lines)), [at, lines, marks])

  return (
    <div className="uchart">
      <p className="tip small quiet" ref={tip} aria-hidden="true" />
      <div ref={box} role="img" aria-label={label} />
      <ChartTable at={at} lines={lines} marks={marks} write={write} />
    </div>
  )
}

/** What stands under the pointer: the mark that is near, or else each line's value. */
function told(chart: uPlot, { lines, marks, write }: Drawn): string {
  const { idx, left } = chart.cursor
  const near = marks.find((mark) => Math.abs(chart.valToPos(mark.at, 'x') - (left ?? -99)) < NEAR_MARK)
  if (near) return `${stamp(near.at)} · ${near.says}`
  if (idx == null) return ''
  return [stamp(chart.data[0][idx]!), ...lines.map((line) => `${line.name} ${line.values[idx] == null ? texts.charts.none : write(line.values[idx])}`)].join(' · ')
}

/** Values without a neighbour: there is no line to see them by. */
function alone(chart: uPlot, line: number): number[] {
  const values = chart.data[line]!
  return [...values.keys()].filter((n) => values[n] != null && values[n - 1] == null && values[n + 1] == null)
}

function data(at: number[], lines: Line[]): uPlot.AlignedData {
  return [at, ...lines.map((line) => line.values)]
}
