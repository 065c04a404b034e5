import { useInfiniteQuery } from '@tanstack/react-query'
import { Link, useNavigate } from '@tanstack/react-router'
import { useWindowVirtualizer } from '@tanstack/react-virtual'
import { useEffect, useMemo, useRef, useState } from 'react'
import { ProblemError } from '../api/client'
import { clock, count, duration } from '../format'
import { Glyph, Icon } from '../parts/Icon'
import { useMay } from '../parts/session'
import { useEvery } from '../parts/useEvery'
import type { JobRow, Listed } from './api'
import { readJobs } from './api'
import { BulkBar } from './BulkBar'
import { parse } from './filter'

/** Requests that are made one after the other while nothing is found. */
const TRIES = 40

interface Props {
  queue: string
  state: string
  text: string
  oldest: boolean
  onChange: (changes: { q?: string; oldest?: boolean }) => void
}

export function JobList({ queue, state, text, oldest, onChange }: Props) {
  const { filter, wrong } = useMemo(() => parse(text), [text])
  const listed: Listed = { queue, state, oldest, filter }
  const [over, setOver] = useState(false)
  const [picked, setPicked] = useState<ReadonlySet<string>>(new Set())
  const [cursor, setCursor] = useState(-1)
  const payloads = useMay('read_payloads')
  const every = useEvery(3_000)
  const [loaded, setLoaded] = useState(0)
  const found = useInfiniteQuery({
    queryKey: ['jobs', queue, state, oldest, text],
    queryFn: ({ pageParam }) => readJobs(listed, pageParam),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.cursor,
    // A row never moves under the pointer, nor while it is chosen; and many pages are not read again and again.
    refetchInterval: (query) => (over || picked.size > 0 || (query.state.data?.pages.length ?? 0) > 2 ? false : every),
    meta: { still: over || picked.size > 0 || loaded > 2 },
  })
  const pages = found.data?.pages ?? []
  useEffect(() => setLoaded(pages.length), [pages.length])
  const jobs = useMemo(() => unique(pages.flatMap((page) => page.jobs)), [found.data])
  const last = pages.at(-1)
  const { hasNextPage, isFetching, fetchNextPage } = found
  useEffect(() => setPicked(new Set()), [queue, state, text, oldest])
  useEffect(() => setCursor(-1), [queue, state, text, oldest])
  useEffect(() => {
    if (jobs.length < 50 && hasNextPage && !isFetching && pages.length < TRIES) void fetchNextPage()
  }, [jobs.length, hasNextPage, isFetching, pages.length, fetchNextPage])

  const box = useRef<HTMLTableElement>(null)
  const narrow = window.innerWidth <= 640
  const rows = useWindowVirtualizer({
    count: jobs.length,
    estimateSize: () => (narrow ? 62 : 37),
    overscan: 15,
    scrollMargin: box.current?.offsetTop ?? 0,
    getItemKey: (at) => jobs[at]!.id,
  })
  const shown = rows.getVirtualItems()
  const end = shown.at(-1)?.index ?? 0
  useEffect(() => {
    if (jobs.length >= 50 && end >= jobs.length - 20 && hasNextPage && !isFetching) void fetchNextPage()
  }, [end, jobs.length, hasNextPage, isFetching, fetchNextPage])

  const turn = (id: string) => {
    const next = new Set(picked)
    if (!next.delete(id)) next.add(id)
    setPicked(next)
  }
  const navigate = useNavigate()
  useKeys({
    j: () => setCursor(Math.min(jobs.length - 1, cursor + 1)),
    k: () => setCursor(Math.max(0, cursor - 1)),
    x: () => jobs[cursor] && turn(jobs[cursor].id),
    Enter: () => jobs[cursor] && void navigate({ to: '/queues/$queue/jobs/$id', params: { queue, id: jobs[cursor].id } }),
  })
  useEffect(() => {
    if (cursor >= 0) rows.scrollToIndex(cursor, { align: 'auto' })
  }, [cursor])

  const above = shown.length ? shown[0]!.start - rows.options.scrollMargin : 0
  const below = shown.length ? rows.getTotalSize() - (shown.at(-1)!.end - rows.options.scrollMargin) : 0
  const at = last?.at ?? Date.now() / 1000
  return (
    <>
      <div className="filter">
        <FilterField text={text} payloads={payloads} onChange={(q) => onChange({ q })} />
        <span className="small quiet nowrap" role="status">
          {last && (text ? `${count(jobs.length)}${hasNextPage ? '+' : ''} match · searched ${count(last.searched)} of ${count(last.total)}` : `${count(last.total)} jobs`)}
        </span>
        <button className="btn ghost hide-narrow" onClick={() => onChange({ oldest: !oldest })}>
          {oldest ? (state === 'delayed' ? 'Next first' : 'Oldest first') : state === 'delayed' ? 'Last first' : 'Newest first'}
          <Icon name="down" />
        </button>
      </div>
      {[...wrong, ...(found.error && found.error instanceof ProblemError && found.error.status !== 503 ? [found.error.message] : [])].map((says) => (
        <p key={says} className="banner calm is-failed">
          {says}
        </p>
      ))}
      {found.isSuccess && jobs.length === 0 && !hasNextPage ? (
        <Nothing state={state} filtered={text !== ''} onClear={() => onChange({ q: '' })} />
      ) : (
        <table className="table list rows jobs" ref={box} onPointerEnter={() => setOver(true)} onPointerLeave={() => setOver(false)}>
          <thead>
            <tr>
              <th className="pick">
                <input
                  className={`check ${picked.size > 0 && picked.size < jobs.length ? 'mixed' : ''}`}
                  type="checkbox"
                  aria-label="Select all that are loaded"
                  checked={jobs.length > 0 && picked.size === jobs.length}
                  onChange={() => setPicked(picked.size === jobs.length ? new Set() : new Set(jobs.slice(0, 1_000).map((job) => job.id)))}
                />
              </th>
              <th className="c-id">Id</th>
              <th className="c-name">Name</th>
              <th>{state === 'failed' ? 'Error' : 'Data'}</th>
              <th className="num col-wide c-prio">Priority</th>
              <th className="num c-att">Attempts</th>
              <th className="num col-wide c-when">{WHEN[state]?.[0] ?? 'Added'}</th>
              <th className="num c-age">{WHEN[state]?.[1] ?? 'Waiting'}</th>
            </tr>
          </thead>
          <tbody>
            {above > 0 && <Space height={above} />}
            {shown.map((item) => {
              const job = jobs[item.index]!
              return (
                <Row
                  key={job.id}
                  queue={queue}
                  job={job}
                  state={state}
                  at={at}
                  index={item.index}
                  measure={rows.measureElement}
                  picked={picked.has(job.id)}
                  marked={item.index === cursor}
                  onPick={() => turn(job.id)}
                />
              )
            })}
            {below > 0 && <Space height={below} />}
          </tbody>
        </table>
      )}
      {hasNextPage && !isFetching && jobs.length < 50 && last && (
        <div className="pad head">
          <span className="small quiet">
            Searched {count(last.searched)} of {count(last.total)}.
          </span>
          <button className="btn sm" onClick={() => void fetchNextPage()}>
            Search on
          </button>
        </div>
      )}
      {picked.size > 0 && (
        <BulkBar listed={listed} picked={picked} loaded={jobs.length} more={hasNextPage} onPick={setPicked} />
      )}
    </>
  )
}

/** What the last two columns are for jobs of a state. */
const WHEN: Record<string, [string, string]> = {
  active: ['Started', 'Running'],
  delayed: ['Due', 'Starts in'],
  completed: ['Finished', 'Took'],
  failed: ['Failed', 'Took'],
}

function times(job: JobRow, state: string, at: number): [number | null, string] {
  const between = (from: number | null, to: number | null) => (from == null || to == null ? '–' : duration(Math.max(0, to - from)))
  switch (state) {
    case 'active':
      return [job.startedAt, between(job.startedAt, at)]
    case 'delayed':
      if (job.held) return [null, 'held']
      return [job.due, job.due != null && job.due <= at ? 'due' : between(at, job.due)]
    case 'completed':
    case 'failed':
      return [job.finishedAt, between(job.startedAt, job.finishedAt)]
    default:
      return [job.enqueuedAt, between(job.enqueuedAt, at)]
  }
}

interface RowProps {
  queue: string
  job: JobRow
  state: string
  at: number
  index: number
  picked: boolean
  marked: boolean
  measure: (row: HTMLTableRowElement | null) => void
  onPick: () => void
}

function Row({ queue, job, state, at, index, picked, marked, measure, onPick }: RowProps) {
  const [when, lasts] = times(job, state, at)
  return (
    <tr ref={measure} data-index={index} className={`${picked ? 'sel' : ''} ${marked ? 'cursor' : ''}`}>
      <td className="hide-narrow">
        <input className="check" type="checkbox" aria-label={`Select ${job.id}`} checked={picked} onChange={onPick} />
      </td>
      <td data-l="Id" className="ellipsis">
        <Link className="mono" to="/queues/$queue/jobs/$id" params={{ queue, id: job.id }} title={job.id}>
          {job.id}
        </Link>
      </td>
      <td className="wide-only ellipsis" title={job.name}>
        {job.name}
      </td>
      <td className="full ellipsis">
        {job.held && (
          <span className="is-failed small">
            <Glyph name="held" /> held by {job.held}{' '}
          </span>
        )}
        {state === 'failed' ? <Reason job={job} /> : <Preview job={job} />}
      </td>
      <td className="num wide-only col-wide">{job.priority || <span className="zero">–</span>}</td>
      <td className="num side-note" data-l="Attempts">
        {job.attemptsMade || <span className="zero">0</span>}
        <span className="quiet"> / {job.attempts}</span>
      </td>
      <td className="num wide-only col-wide">
        {when == null ? '–' : <time className="mono small" dateTime={new Date(when * 1000).toISOString()} title={new Date(when * 1000).toISOString()}>{clock(when)}</time>}
      </td>
      <td className="num" data-l="Time">
        {lasts}
      </td>
    </tr>
  )
}

function Preview({ job }: { job: JobRow }) {
  if (!job.preview) {
    return (
      <span className="redacted">
        <Glyph name="lock" />
        <span>redacted</span>
      </span>
    )
  }
  return (
    <span className="mono small">
      {job.preview.map((field) => (
        <span key={field.name} className="pair">
          {field.name && <span className="quiet">{field.name}</span>} {field.value}{' '}
        </span>
      ))}
    </span>
  )
}

function Reason({ job }: { job: JobRow }) {
  return (
    <span className="small" title={job.failedReason ?? undefined}>
      <b className="is-failed strong">{job.errorType.split('.').at(-1)}</b> {job.failedReason ?? ''}
    </span>
  )
}

function Space({ height }: { height: number }) {
  return (
    <tr aria-hidden="true" className="space">
      <td colSpan={8} ref={(cell) => void (cell && (cell.style.height = `${height}px`))} />
    </tr>
  )
}

const WHY_EMPTY: Record<string, string> = {
  waiting: 'Every job that came has started, or is yet to come.',
  active: 'No worker runs a job of this queue at the moment.',
  delayed: 'No job waits for a later time or its next attempt.',
  'waiting-children': 'No parent waits for its children.',
  completed: 'None has completed, or their retention has passed.',
  failed: 'No job has failed for good. That is how it should be.',
}

function Nothing({ state, filtered, onClear }: { state: string; filtered: boolean; onClear: () => void }) {
  return (
    <div className="empty">
      <h3>{filtered ? 'No job fits' : 'No jobs here'}</h3>
      <p>{filtered ? 'Other states may have one: the filter holds for this one alone.' : WHY_EMPTY[state]}</p>
      {filtered && (
        <button className="btn" onClick={onClear}>
          Clear the filter
        </button>
      )}
    </div>
  )
}

function FilterField({ text, payloads, onChange }: { text: string; payloads: boolean; onChange: (text: string) => void }) {
  const [typed, setTyped] = useState(text)
  useEffect(() => setTyped(text), [text])
  useEffect(() => {
    if (typed === text) return
    const timer = setTimeout(() => onChange(typed), 350)
    return () => clearTimeout(timer)
  }, [typed])
  return (
    <div className="field">
      <Icon name="search" />
      <input
        id="filter"
        className="bare mono"
        type="search"
        value={typed}
        spellCheck={false}
        autoComplete="off"
        aria-label="Filter the jobs"
        placeholder={payloads ? 'id · name:verify · error:"timed out" · after:14:02 · data.user.id:7' : 'id · name:verify · after:14:02'}
        onChange={(event) => setTyped(event.target.value)}
        onKeyDown={(event) => event.key === 'Enter' && onChange(typed)}
      />
    </div>
  )
}

function unique(jobs: JobRow[]): JobRow[] {
  return [...new Map(jobs.map((job) => [job.id, job])).values()]
}

/** Keys of the page, unless somebody types or a dialog is open. */
function useKeys(keys: Record<string, () => void>) {
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement
      if (event.ctrlKey || event.metaKey || event.altKey || target.closest('input, textarea, select, dialog, button, a')) return
      const run = keys[event.key]
      if (run) {
        event.preventDefault()
        run()
      }
    }
    document.addEventListener('keydown', press)
    return () => document.removeEventListener('keydown', press)
  })
}
