import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { answered, api } from '../api/client'
import { useMay } from '../api/session'
import { count, duration, exact, until } from '../format'
import { Confirm } from '../parts/Dialog'
import { Glyph, type GlyphName } from '../parts/Icon'
import { PageTop } from '../parts/PageTop'
import { useEvery } from '../parts/useEvery'
import { SkeletonRows } from '../parts/Skeleton'
import { type Choice, RowMenu } from '../parts/RowMenu'
import { Time } from '../parts/Time'
import { LIST, useScheduleChanges } from '../schedules/changes'
import { OUTCOMES, ScheduleDetail, useDetail } from '../schedules/ScheduleDetail'
import { ScheduleForm } from '../schedules/ScheduleForm'
import type { Schedule } from '../schedules/wish'
import '../work.css'

const keyOf = (schedule: Schedule) => `${schedule.queue} ${schedule.id}`

export function Schedules() {
  const page = useQuery({
    queryKey: LIST,
    queryFn: () => answered(api.GET('/api/v1/schedules')),
    refetchInterval: useEvery(3_000),
  })
  const mayOperate = useMay('operate') && !page.isError
  const changes = useScheduleChanges()
  const [queue, setQueue] = useState('')
  const [open, setOpen] = useState<string | null>(null)
  const [form, setForm] = useState<Schedule | 'new' | null>(null)
  const [removing, setRemoving] = useState<Schedule | null>(null)
  const data = page.data
  const queues = [...new Set(data?.schedules.map((schedule) => schedule.queue))].sort()
  const shown = data?.schedules.filter((schedule) => queue === '' || schedule.queue === queue) ?? []
  const late = data?.schedules.filter((schedule) => schedule.lateSeconds !== null).length ?? 0
  const paused = data?.schedules.filter((schedule) => schedule.paused).length ?? 0

  const choices = (schedule: Schedule): Choice[] => [
    { name: 'Run now', icon: 'play', onSelect: () => changes.run.mutate(schedule) },
    schedule.paused
      ? { name: 'Go on', icon: 'clock', onSelect: () => changes.pause.mutate({ schedule, paused: false }) }
      : { name: 'Pause', icon: 'pause', onSelect: () => changes.pause.mutate({ schedule, paused: true }) },
    { name: 'Edit…', icon: 'edit', onSelect: () => setForm(schedule) },
    { name: 'Remove…', icon: 'close', danger: true, onSelect: () => setRemoving(schedule) },
  ]
  return (
    <>
      <PageTop query={page}>Schedules</PageTop>
      {page.isPending && <SkeletonRows />}
      {data && (
        <>
          <div className="pagehead">
            <div>
              <h1>
                Schedules <span className="quiet">{count(data.total)}</span>
              </h1>
              {data.total > 0 && (
                <p className="lead">
                  {late > 0 ? `${late} late` : 'None is late'}
                  {paused > 0 && `, ${paused} paused`}.
                  {data.total > data.schedules.length && ` Shown: the ${data.schedules.length} that run next.`}
                </p>
              )}
            </div>
            <div className="btn-row">
              {queues.length > 1 && (
                <select className="plain-select" aria-label="Queue" value={queue} onChange={(event) => setQueue(event.target.value)}>
                  <option value="">All queues</option>
                  {queues.map((name) => (
                    <option key={name}>{name}</option>
                  ))}
                </select>
              )}
              {mayOperate && (
                <button className="btn grow" onClick={() => setForm('new')}>
                  New schedule
                </button>
              )}
            </div>
          </div>
          {shown.length === 0 ? (
            <div className="empty">
              <h3>Nothing recurs</h3>
              <p>A schedule is here as soon as one is added, by Corral or as a job scheduler of BullMQ.</p>
              <code>await reports.schedules.upsert("nightly", "build", cron="0 3 * * 1-5")</code>
            </div>
          ) : (
            <table className="table rows">
              <thead>
                <tr>
                  <th>Schedule</th>
                  <th>Runs</th>
                  <th>Next</th>
                  <th>Last</th>
                  <th>
                    <span className="sr">Actions</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {shown.map((schedule) => (
                  <Row
                    key={keyOf(schedule)}
                    schedule={schedule}
                    now={data.at}
                    open={open === keyOf(schedule)}
                    onOpen={() => setOpen((was) => (was === keyOf(schedule) ? null : keyOf(schedule)))}
                    choices={mayOperate ? choices(schedule) : null}
                  />
                ))}
              </tbody>
            </table>
          )}
        </>
      )}
      {form === 'new' && <ScheduleForm was={null} onClose={() => setForm(null)} />}
      {form !== null && form !== 'new' && <Edit schedule={form} onClose={() => setForm(null)} />}
      {removing && (
        <Confirm
          title={`Remove ${removing.id}?`}
          says={`It makes no more jobs ${removing.name}, and its pending run goes with it. What is due or runs goes on. To stop it for a while, pause it.`}
          verb="Remove it"
          onClose={() => setRemoving(null)}
          onConfirm={() => {
            setRemoving(null)
            changes.remove.mutate(removing)
          }}
        />
      )}
    </>
  )
}

/** The form needs the data of its jobs, if it may be seen. */
function Edit({ schedule, onClose }: { schedule: Schedule; onClose: () => void }) {
  const detail = useDetail(schedule, null)
  if (!detail.data) return null
  return <ScheduleForm was={schedule} data={detail.data.dataShown ? detail.data.data : undefined} onClose={onClose} />
}

interface RowProps {
  schedule: Schedule
  now: number
  open: boolean
  onOpen: () => void
  choices: Choice[] | null
}

function stateOf(schedule: Schedule): { glyph: GlyphName; tone: string; row: string } {
  if (schedule.paused) return { glyph: 'paused', tone: 'is-paused', row: '' }
  if (schedule.lateSeconds !== null) return { glyph: 'alert', tone: 'is-limited', row: 'watch' }
  return { glyph: 'calm', tone: 'quiet', row: '' }
}

function Row({ schedule, now, open, onOpen, choices }: RowProps) {
  const { glyph, tone, row } = stateOf(schedule)
  return (
    <>
      <tr className={`${row} ${open ? 'open' : ''}`}>
        <td className="name">
          <span className="qname">
            <Glyph name={glyph} className={tone} />
            <button className="row-open" aria-expanded={open} onClick={onOpen}>
              {schedule.id}
            </button>
            <span className="second">
              {schedule.queue} · {schedule.name}
            </span>
          </span>
        </td>
        <td className="two wrap" data-l="Runs">
          {schedule.words}
          <span className="second">
            {schedule.cron !== null && schedule.words !== schedule.cron && <code>{schedule.cron}</code>} {schedule.cron !== null && schedule.tz}
          </span>
        </td>
        <td data-l="Next">
          <Next schedule={schedule} now={now} />
        </td>
        <td data-l="Last">
          <Last schedule={schedule} />
        </td>
        <td className="num act">
          <div className="btn-row">{choices && <RowMenu label={`Run, pause, edit or remove ${schedule.id}`} choices={choices} />}</div>
        </td>
      </tr>
      {open && (
        <tr className="inset">
          <td colSpan={5}>
            <ScheduleDetail schedule={schedule} />
          </td>
        </tr>
      )}
    </>
  )
}

function Next({ schedule, now }: { schedule: Schedule; now: number }) {
  if (schedule.paused) return <span className="quiet">paused</span>
  if (schedule.lateSeconds !== null) {
    return (
      <>
        <span className="is-limited strong">late</span>
        <span className="second">
          nobody takes it, {duration(schedule.lateSeconds)}
          {schedule.missed > 0 && ` · ${schedule.missed === 100 ? '100 or more' : schedule.missed} missed`}
        </span>
      </>
    )
  }
  if (schedule.nextRun === null) return <span className="quiet">none pending</span>
  return <span title={exact(schedule.nextRun)}>{until(schedule.nextRun, now)}</span>
}

function Last({ schedule }: { schedule: Schedule }) {
  if (schedule.lastRun === null) return <span className="quiet">not yet</span>
  const outcome = schedule.last?.outcome
  const look = outcome ? OUTCOMES[outcome] : undefined
  return (
    <>
      {look && <Glyph name={look.glyph} className={look.tone} />} <Time at={schedule.lastRun} relative />
      <span className={`second ${outcome === 'failed' ? 'is-failed' : ''}`}>{outcome ?? 'its job is gone'}</span>
    </>
  )
}
