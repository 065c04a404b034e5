import { useQuery, useQueryClient } from '@tanstack/react-query'
import { lazy, Suspense, useMemo, useState } from 'react'
import { count, duration, rate, span } from '../format'
import { readStats } from '../jobs/api'
import { useEvery } from '../parts/useEvery'
import { texts } from '../texts'
import type { Drawn, Line } from './drawing'
import { inWords } from './inWords'
import { marksOf, useChanges } from './marks'
import { Ranges } from './Ranges'
import { RANGES, series, some } from './series'
import type { QueueRow } from './trouble'

// The pages before it need no charts.
const Chart = lazy(() => import('./Chart').then((module) => ({ default: module.Chart })))

const say = texts.charts

/** What the queue did and how deep it was, for as long back as is chosen, with deploys, scaling and alerts. */
export function QueueCharts({ queue, objective, behind }: { queue: string; objective: number; behind: boolean }) {
  const [range, setRange] = useState(RANGES[0]!)
  const stats = useQuery({
    queryKey: ['stats', queue, range.key],
    queryFn: () => readStats(queue, range.query),
    refetchInterval: useEvery(range.query.minutes === 60 ? 5_000 : 60_000),
    placeholderData: (before) => (before?.queue === queue ? before : undefined),
  })
  const changes = useChanges(range.hours).data?.changes
  const held = useQueryClient().getQueryData<QueueRow>(['queue', queue])?.held
  const lines = useMemo(() => (stats.data ? series(stats.data.spans, stats.data.depths, range.fold) : null), [stats.data, range])
  const marks = useMemo(() => marksOf(changes ?? [], { name: queue, held: held ?? {} }), [changes, queue, held])
  const late = behind ? 'hot' : 'ink'
  const charts = useMemo(() => {
    if (!lines) return null
    const level = Number.isFinite(objective) ? { value: objective, name: say.objective(span(objective)) } : undefined
    const line = (name: string, values: Line['values'], tone: Line['tone'], fill = false): Line => ({ name, values, tone, fill })
    return {
      throughput: [
        line(say.in, lines.arrived, 'context'),
        line(say.out, lines.ended, 'ink'),
        ...(some(lines.failed) ? [line(say.failed, lines.failed, 'hot')] : []),
      ],
      depth: [
        ...(some(lines.delayed) ? [line(say.delayed, lines.delayed, 'context')] : []),
        line(say.waiting, lines.waiting, late, true),
        ...(some(lines.held) ? [line(say.held, lines.held, 'hot', true)] : []),
      ],
      times: [line(say.run, lines.run, 'context'), line(say.wait, lines.wait, 'ink'), ...(some(lines.oldest) ? [line(say.oldest, lines.oldest, late)] : [])],
      level,
    }
  }, [lines, objective, late])

  const chart = (name: string, drawn: Pick<Drawn, 'lines' | 'level' | 'write'>) => (
    <div className="plotbox">
      <Suspense>
        <Chart at={lines!.at} marks={marks} {...drawn} label={inWords(name, say.ranges[range.key]!, { ...drawn, marks })} />
      </Suspense>
    </div>
  )
  const head = (name: string) => (
    <div className="head short">
      <h2>{name}</h2>
    </div>
  )
  return (
    <div className="pad charts">
      <div className="head">
        <h2>{say.throughput}</h2>
        <div className="right">
          <Ranges range={range} onChange={setRange} />
        </div>
      </div>
      {charts ? chart(say.throughput, { lines: charts.throughput, write: rate }) : <div className="plotbox" />}
      {head(say.depth)}
      {charts ? chart(say.depth, { lines: charts.depth, write: count }) : <div className="plotbox" />}
      {head(say.times)}
      {charts ? chart(say.times, { lines: charts.times, level: charts.level, write: duration }) : <div className="plotbox" />}
    </div>
  )
}
