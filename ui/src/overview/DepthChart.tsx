import { useQuery } from '@tanstack/react-query'
import { lazy, Suspense, useMemo, useState } from 'react'
import { answered, api } from '../api/client'
import { count } from '../format'
import { inWords } from '../queues/inWords'
import type { Change } from '../queues/marks'
import { marksOf, useChanges } from '../queues/marks'
import { Ranges } from '../queues/Ranges'
import { folded, type Range, RANGES } from '../queues/series'
import { condition, type OverviewQueue } from '../queues/trouble'
import { texts } from '../texts'
import { chosen } from './deepest'

// The table stands before it is there.
const Chart = lazy(() => import('../queues/Chart').then((module) => ({ default: module.Chart })))

const HEIGHT = 220
const ROOM = 150
const ROOM_NARROW = 104

/** What waits in the queues that matter, over time, with what changed. `queues` come worst first. */
export function DepthChart({ queues, at }: { queues: OverviewQueue[]; at: number }) {
  const [range, setRange] = useState(RANGES[0]!)
  const changes = useChanges(range.hours).data?.changes
  const shown = useMemo(() => chosen(queues), [queues])
  const { times, values } = useDepths(shown, range, at)
  const marks = useMemo(() => marksOf((changes ?? []) as Change[]), [changes])
  const lines = useMemo(
    () =>
      shown.map((queue) => {
        const hot = condition(queue).level === 'trouble'
        return { name: queue.row.queue, values: values[queue.row.queue] ?? [], tone: hot ? ('hot' as const) : ('context' as const), fill: hot }
      }),
    [shown, values],
  )
  const left = queues.length - shown.length
  const room = matchMedia('(max-width: 640px)').matches ? ROOM_NARROW : ROOM
  const drawn = { lines, marks, write: count }
  return (
    <div className="pad overview-chart">
      <div className="head">
        <h2>{texts.overview.depth}</h2>
        <span className="small quiet hide-narrow">
          {texts.charts.ranges[range.key]}
          {left > 0 && `, ${texts.overview.others(count(left))}`}
        </span>
        <div className="right">
          <Ranges range={range} onChange={setRange} />
        </div>
      </div>
      <div className="plotbox tall">
        <Suspense>
          <Chart at={times} {...drawn} height={HEIGHT} room={room} label={inWords(texts.overview.depth, texts.charts.ranges[range.key]!, drawn)} />
        </Suspense>
      </div>
    </div>
  )
}

interface Depths {
  times: number[]
  values: Record<string, (number | null)[]>
}

/** The last hour is in the overview; for longer ones the server is asked. */
function useDepths(queues: OverviewQueue[], range: Range, at: number): Depths {
  const names = queues.map((queue) => queue.row.queue).sort()
  const hour = range.hours === 1
  const longer = useQuery({
    queryKey: ['depths', range.key, names],
    queryFn: () => answered(api.GET('/api/v1/depths', { params: { query: { ...range.query, queue: names } } })),
    enabled: !hour && names.length > 0,
    refetchInterval: 60_000,
    placeholderData: (before) => before,
  })
  return useMemo(() => {
    if (hour) {
      const first = Math.floor(at / 60) - 59
      return {
        times: Array.from({ length: 60 }, (_, n) => (n === 59 ? at : (first + n) * 60)),
        values: Object.fromEntries(queues.map((queue) => [queue.row.queue, queue.waiting])),
      }
    }
    const page = longer.data
    if (!page) return { times: [], values: {} }
    const points = Math.ceil(page.points / range.fold)
    return {
      times: Array.from({ length: points }, (_, n) => page.first + n * range.fold * page.seconds),
      values: Object.fromEntries(page.queues.map((queue) => [queue.queue, folded(queue.waiting, range.fold)])),
    }
  }, [hour, at, queues, longer.data, range])
}
