import { useQuery } from '@tanstack/react-query'
import { lazy, Suspense, useMemo, useState } from 'react'
import { answered, api } from '../api/client'
import { rate } from '../format'
import type { Line } from '../queues/drawing'
import { inWords } from '../queues/inWords'
import { marksOf, useChanges } from '../queues/marks'
import { Ranges } from '../queues/Ranges'
import { type Range, RANGES } from '../queues/series'
import { texts } from '../texts'
import { fleetLines, isDrawable } from './need'

// The list of workers stands before it is there.
const Chart = lazy(() => import('../queues/Chart').then((module) => ({ default: module.Chart })))

const words = texts.workers

const HEIGHT = 220

/** Processes are noted so often. */
const NOTED_MS = 60_000

/** Worker processes that lived, over those that the load needed, with deploys, scaling and alerts. */
export function NeedChart() {
  const [range, setRange] = useState(RANGES[0]!)
  const lines = useFleet(range)
  const changes = useChanges(range.hours).data?.changes
  const marks = useMemo(() => marksOf(changes ?? []), [changes])
  const drawn = useMemo<Line[]>(
    () => [
      { name: words.needed, values: lines?.needed ?? [], tone: 'context', fill: true },
      { name: words.running, values: lines?.running ?? [], tone: 'ink' },
    ],
    [lines],
  )
  const shown = { lines: drawn, marks, write: rate }
  return (
    <section className="pad need-chart">
      <div className="head">
        <h2>{words.againstNeed}</h2>
        <span className="small quiet hide-narrow" title={words.neededBy}>
          {words.neededAre}
        </span>
        <div className="right">
          <Ranges range={range} onChange={setRange} />
        </div>
      </div>
      <div className="plotbox tall">
        {lines && isDrawable(lines) && (
          <Suspense>
            <Chart at={lines.at} {...shown} height={HEIGHT} label={inWords(words.againstNeed, texts.charts.ranges[range.key]!, shown)} />
          </Suspense>
        )}
        {lines && !isDrawable(lines) && <p className="muted">{words.tooLittle}</p>}
      </div>
    </section>
  )
}

function useFleet(range: Range) {
  const page = useQuery({
    queryKey: ['fleet', range.key],
    queryFn: () => answered(api.GET('/api/v1/workers/history', { params: { query: range.query } })),
    refetchInterval: range.hours === 1 ? NOTED_MS / 2 : NOTED_MS,
    placeholderData: (before) => before,
  }).data
  return useMemo(() => (page ? fleetLines(page, range.fold) : null), [page, range])
}
