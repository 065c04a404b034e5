import { useQuery } from '@tanstack/react-query'
import { useEvery } from '../parts/useEvery'
import { useState } from 'react'
import { answered, api } from '../api/client'
import type { components } from '../api/schema'
import { duration, stamp, until } from '../format'
import { Glyph, type GlyphName } from '../parts/Icon'
import { Late } from '../parts/Skeleton'
import { Time } from '../parts/Time'
import { texts } from '../texts'
import { ZoneSelect } from './ScheduleForm'
import { onTheWall, type Schedule } from './wish'

const t = texts.schedules

type Run = components['schemas']['RunRow']

export const OUTCOMES: Record<string, { glyph: GlyphName; tone: string }> = {
  completed: { glyph: 'completed', tone: 'is-completed' },
  failed: { glyph: 'failed', tone: 'is-failed' },
  running: { glyph: 'active', tone: 'is-active' },
  waiting: { glyph: 'waiting', tone: 'is-waiting' },
}

export function useDetail(schedule: Schedule, zone: string | null) {
  return useQuery({
    queryKey: ['schedule', schedule.queue, schedule.id, zone],
    queryFn: () =>
      answered(
        api.GET('/api/v1/queues/{queue}/schedule', {
          params: { path: { queue: schedule.queue }, query: { id: schedule.id, zone } },
        }),
      ),
    refetchInterval: useEvery(5_000),
    placeholderData: (before) => before,
  })
}

/** What comes, what was, and what its jobs get. */
export function ScheduleDetail({ schedule }: { schedule: Schedule }) {
  const [zone, setZone] = useState(schedule.tz)
  const detail = useDetail(schedule, zone)
  if (detail.isError && !detail.data) return <p className="is-failed">{detail.error.message}</p>
  if (!detail.data) {
    return (
      <Late>
        <span className="skel" style={{ width: '40%' }} />
      </Late>
    )
  }
  const { runs, results, dataShown, data } = detail.data
  return (
    <div className="inset-cols">
      <section aria-label={t.nextRuns}>
        <p className="label">
          {t.nextRunsIn} <ZoneSelect className="plain-select" own={schedule.tz} value={zone} onChange={setZone} />
        </p>
        {runs.length === 0 ? (
          <p className="muted small">{schedule.paused ? t.noRunsPaused : t.noRuns}</p>
        ) : (
          <ol>
            {runs.map((run) => (
              <li key={run}>
                <span>{onTheWall(run)}</span>
                <span className="quiet">{Date.parse(run) < Date.now() - 1000 ? t.due : until(Date.parse(run) / 1000)}</span>
              </li>
            ))}
          </ol>
        )}
        {schedule.paused && runs.length > 0 && <p className="muted small">{t.wereItNotPaused}</p>}
      </section>
      <section aria-label={t.lastResults}>
        <p className="label">{t.lastResults}</p>
        {results.length === 0 ? (
          <p className="muted small">{t.noResults}</p>
        ) : (
          <ol>
            {results.map((run) => (
              <Result key={run.jobId} run={run} />
            ))}
          </ol>
        )}
      </section>
      <section aria-label={t.jobs}>
        <p className="label">
          {t.jobs} <b className="strong">{schedule.name}</b>
          {schedule.limit !== null && t.made(schedule.iterations, schedule.limit)}
          {schedule.end !== null && t.endsAt(stamp(schedule.end))}
        </p>
        {dataShown ? <pre>{JSON.stringify(data, null, 2)}</pre> : <p className="muted small">{t.dataHidden}</p>}
      </section>
    </div>
  )
}

function Result({ run }: { run: Run }) {
  const { glyph, tone } = OUTCOMES[run.outcome] ?? { glyph: 'waiting', tone: '' }
  const took = run.startedAt !== null && run.endedAt !== null ? duration(run.endedAt - run.startedAt) : run.outcome
  return (
    <li>
      <Glyph name={glyph} className={tone} />
      <span className={run.error ? 'said-error' : ''}>{run.error ?? run.outcome}</span>
      <span className="quiet nowrap">
        {took} · <Time at={run.slot} relative />
      </span>
    </li>
  )
}
