import { useQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { useEffect, useRef, useState } from 'react'
import { answered, api } from '../api/client'
import { useMay } from '../api/session'
import { clock, count, duration, exact, until } from '../format'
import { ActButton } from '../parts/ActButton'
import { Confirm } from '../parts/Dialog'
import { Glyph, type GlyphName, Icon } from '../parts/Icon'
import { PageTop } from '../parts/PageTop'
import { useEvery } from '../parts/useEvery'
import { SkeletonRows } from '../parts/Skeleton'
import { type Choice, Menu } from '../parts/Menu'
import { Time } from '../parts/Time'
import { LIST, useScheduleChanges } from '../schedules/changes'
import { OUTCOMES, ScheduleDetail, useDetail } from '../schedules/ScheduleDetail'
import { ScheduleForm } from '../schedules/ScheduleForm'
import type { SchedulesSearch } from '../schedules/search'
import { fits, type Schedule } from '../schedules/wish'
import { type RowMarks, useCursor } from '../shell/useCursor'
import { texts } from '../texts'

const t = texts.schedules

const keyOf = (schedule: Schedule) => `${schedule.queue} ${schedule.id}`

export function Schedules() {
  const page = useQuery({
    queryKey: LIST,
    queryFn: () => answered(api.GET('/api/v1/schedules')),
    refetchInterval: useEvery(3_000),
  })
  const mayOperate = useMay('operate')
  const changes = useScheduleChanges()
  const search: SchedulesSearch = useSearch({ strict: false })
  const { q = '', queue = '', schedule: wanted } = search
  const navigate = useNavigate()
  const set = (changes: SchedulesSearch) => void navigate({ to: '/schedules', search: { ...search, ...changes }, replace: true })
  const [open, setOpen] = useState<string | null>(wanted ?? null)
  useEffect(() => {
    if (wanted !== undefined) setOpen(wanted)
  }, [wanted])
  const [form, setForm] = useState<Schedule | 'new' | null>(null)
  const [removing, setRemoving] = useState<Schedule | null>(null)
  const data = page.data
  const queues = [...new Set(data?.schedules.map((schedule) => schedule.queue))].sort()
  const shown = data?.schedules.filter((schedule) => (queue === '' || schedule.queue === queue) && fits(schedule, q)) ?? []
  const cursor = useCursor(shown.map(keyOf))
  const late = data?.schedules.filter((schedule) => schedule.lateSeconds !== null).length ?? 0
  const paused = data?.schedules.filter((schedule) => schedule.paused).length ?? 0

  const choices = (schedule: Schedule): Choice[] => [
    { name: t.runNow, icon: 'play', run: () => changes.run.mutate(schedule) },
    schedule.paused
      ? { name: t.goOn, icon: 'clock', run: () => changes.pause.mutate({ schedule, paused: false }) }
      : { name: t.pause, icon: 'pause', run: () => changes.pause.mutate({ schedule, paused: true }) },
    { name: t.edit, icon: 'edit', run: () => setForm(schedule) },
    { name: t.remove, icon: 'close', danger: true, run: () => setRemoving(schedule) },
  ]
  return (
    <>
      <PageTop query={page}>{t.title}</PageTop>
      {page.isPending && <SkeletonRows />}
      {data && (
        <>
          <div className="pagehead">
            <div>
              <h1>
                {t.title} <span className="quiet light">{count(data.total)}</span>
              </h1>
              {data.total > 0 && (
                <p className="lead">
                  {t.late(late)}
                  {t.paused(paused)}.{data.total > data.schedules.length && t.shownNext(data.schedules.length)}
                </p>
              )}
            </div>
            <div className="btn-row">
              {mayOperate && (
                <ActButton className="btn grow" onClick={() => setForm('new')}>
                  {t.add}
                </ActButton>
              )}
            </div>
          </div>
          {data.total > 0 && (
            <div className="filter events-filter">
              <div className="field">
                <Icon name="search" />
                <input
                  id="filter"
                  className="bare"
                  type="search"
                  value={q}
                  spellCheck={false}
                  autoComplete="off"
                  aria-label={t.filter}
                  placeholder={t.placeholder}
                  onChange={(event) => set({ q: event.target.value || undefined })}
                />
              </div>
              {queues.length > 1 && (
                <label>
                  <span className="sr">{t.queue}</span>
                  <select className="input" value={queue} onChange={(event) => set({ queue: event.target.value || undefined })}>
                    <option value="">{t.allQueues}</option>
                    {queues.map((name) => (
                      <option key={name}>{name}</option>
                    ))}
                  </select>
                </label>
              )}
            </div>
          )}
          {shown.length === 0 && data.total > 0 ? (
            <div className="empty" role="status">
              <h3>{t.noneFits}</h3>
              <p>{t.noneFitsWhy(count(data.schedules.length))}</p>
              <button className="btn" onClick={() => set({ q: undefined, queue: undefined })}>
                {t.clear}
              </button>
            </div>
          ) : shown.length === 0 ? (
            <div className="empty">
              <h3>{t.none}</h3>
              <p>{t.noneWhy}</p>
              <code>{t.noneCode}</code>
            </div>
          ) : (
            <table className="table rows schedules">
              <thead>
                <tr>
                  <th>{t.schedule}</th>
                  <th>{t.runs}</th>
                  <th>{t.next}</th>
                  <th>{t.last}</th>
                  <th>
                    <span className="sr">{t.actions}</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {shown.map((schedule) => (
                  <Row
                    key={keyOf(schedule)}
                    schedule={schedule}
                    marks={cursor.row(keyOf(schedule))}
                    now={data.at}
                    open={open === keyOf(schedule)}
                    wanted={wanted === keyOf(schedule)}
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
          title={t.removeTitle(removing.id)}
          says={t.removeSays(removing.name)}
          verb={t.removeVerb}
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
  marks: RowMarks
  now: number
  open: boolean
  /** The address leads to it: it is brought into sight. */
  wanted: boolean
  onOpen: () => void
  choices: Choice[] | null
}

function stateOf(schedule: Schedule): { glyph: GlyphName; tone: string; row: string } {
  if (schedule.paused) return { glyph: 'paused', tone: 'is-paused', row: '' }
  if (schedule.lateSeconds !== null) return { glyph: 'alert', tone: 'is-limited', row: 'watch' }
  return { glyph: 'calm', tone: 'quiet', row: '' }
}

function Row({ schedule, marks, now, open, wanted, onOpen, choices }: RowProps) {
  const name = useRef<HTMLButtonElement>(null)
  useEffect(() => {
    if (wanted) name.current?.scrollIntoView({ block: 'center' })
  }, [wanted])
  const { glyph, tone, row } = stateOf(schedule)
  return (
    <>
      <tr className={`${row} ${open ? 'open' : ''}`} {...marks}>
        <td className="name">
          <span className="qname">
            <Glyph name={glyph} className={tone} />
            <button ref={name} className="row-open" aria-expanded={open} onClick={onOpen}>
              {schedule.id}
            </button>
            <span className="second">
              {schedule.queue} · {schedule.name}
            </span>
          </span>
        </td>
        <td className="two wrap" data-l={t.runs}>
          {schedule.words}
          <span className="second">
            {schedule.cron !== null && schedule.words !== schedule.cron && <code>{schedule.cron}</code>} {schedule.cron !== null && schedule.tz}
          </span>
        </td>
        <td data-l={t.next}>
          <Next schedule={schedule} now={now} />
        </td>
        <td data-l={t.last}>
          <Last schedule={schedule} />
        </td>
        <td className="num act">
          <div className="btn-row">{choices && <Menu label={t.actionsOf(schedule.id)} choices={choices} />}</div>
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
  if (schedule.paused) return <span className="quiet">{t.isPaused}</span>
  if (schedule.lateSeconds !== null) {
    return (
      <>
        <span className="is-limited strong">{t.isLate}</span>
        <span className="second">
          {t.nobodyTakesIt(duration(schedule.lateSeconds))}
          {t.missed(schedule.missed)}
        </span>
      </>
    )
  }
  if (schedule.nextRun === null) return <span className="quiet">{t.nonePending}</span>
  return (
    <span title={exact(schedule.nextRun)}>
      {until(schedule.nextRun, now)}
      <span className="second">{clock(schedule.nextRun, now).replace(/:00$/, '')}</span>
    </span>
  )
}

function Last({ schedule }: { schedule: Schedule }) {
  if (schedule.lastRun === null) return <span className="quiet">{t.notYet}</span>
  const outcome = schedule.last?.outcome
  const look = outcome ? OUTCOMES[outcome] : undefined
  return (
    <>
      {look && <Glyph name={look.glyph} className={look.tone} />} <Time at={schedule.lastRun} relative />
      <span className={`second ${outcome === 'failed' ? 'is-failed' : ''}`}>{outcome ?? t.jobGone}</span>
    </>
  )
}
