import { useQuery } from '@tanstack/react-query'
import { lazy, Suspense, useMemo, useState } from 'react'
import { duration, rate, span } from '../format'
import { readStats } from '../jobs/api'
import { useEvery } from '../parts/useEvery'
import { RANGES, series } from './series'
import { OBJECTIVE_SECONDS } from './trouble'

// The pages before it need no charts.
const Chart = lazy(() => import('./Chart').then((module) => ({ default: module.Chart })))

/** What the queue did, for as long back as is chosen, with the deploys. */
export function QueueCharts({ queue, behind }: { queue: string; behind: boolean }) {
  const [range, setRange] = useState(RANGES[0]!)
  const stats = useQuery({
    queryKey: ['stats', queue, range.key],
    queryFn: () => readStats(queue, range.query),
    refetchInterval: useEvery(range.query.minutes === 60 ? 5_000 : 60_000),
    placeholderData: (before) => (before?.queue === queue ? before : undefined),
  })
  const lines = useMemo(() => (stats.data ? series(stats.data.spans, range.fold) : null), [stats.data, range])
  const throughput = useMemo(
    () =>
      lines
        ? [
            { name: 'in', values: lines.arrived, tone: 'context' as const },
            { name: 'out', values: lines.ended, tone: 'ink' as const },
            ...(lines.failed.some((value) => value > 0) ? [{ name: 'failed', values: lines.failed, tone: 'hot' as const }] : []),
          ]
        : [],
    [lines],
  )
  const latency = useMemo(
    () =>
      lines
        ? [
            { name: 'run', values: lines.run, tone: 'context' as const },
            { name: 'wait', values: lines.wait, tone: behind ? ('hot' as const) : ('ink' as const) },
          ]
        : [],
    [lines, behind],
  )
  const marks = (stats.data?.marks ?? []).slice(-6).map((mark) => ({ at: mark.at, name: mark.release.split('@').at(-1)! }))
  const last = (values: (number | null)[] | undefined) => values?.findLast((value) => value != null)
  return (
    <div className="pad charts">
      <div className="head">
        <h2>Jobs per second</h2>
        <div className="right">
          <div className="seg" role="group" aria-label="How far back">
            {RANGES.map((one) => (
              <button key={one.key} aria-pressed={one === range} onClick={() => setRange(one)}>
                {one.key}
              </button>
            ))}
          </div>
        </div>
      </div>
      <div className="plotbox">
        {lines && (
          <Suspense>
            <Chart at={lines.at} lines={throughput} marks={marks} write={rate} label={`Jobs a second, last ${range.key}: in ${rate(last(lines.arrived) ?? 0)}, out ${rate(last(lines.ended) ?? 0)} at the end`} />
          </Suspense>
        )}
      </div>
      <div className="head short">
        <h2>Waiting and run time, p95</h2>
      </div>
      <div className="plotbox">
        {lines && (
          <Suspense>
            <Chart at={lines.at} lines={latency} marks={marks} level={{ value: OBJECTIVE_SECONDS, name: `objective ${span(OBJECTIVE_SECONDS)}` }} write={duration} label={`Times, last ${range.key}: wait ${duration(last(lines.wait))}, run ${duration(last(lines.run))} at the end`} />
          </Suspense>
        )}
      </div>
    </div>
  )
}
