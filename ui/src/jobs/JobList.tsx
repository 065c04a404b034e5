import { useQuery } from '@tanstack/react-query'
import { Link, useNavigate } from '@tanstack/react-router'
import { useWindowVirtualizer } from '@tanstack/react-virtual'
import { useEffect, useMemo, useRef, useState } from 'react'
import { ProblemError } from '../api/client'
import { count } from '../format'
import { Icon } from '../parts/Icon'
import { useMay } from '../api/session'
import { SkeletonRows } from '../parts/Skeleton'
import { useCursor } from '../shell/useCursor'
import { useKeys } from '../shell/useKeys'
import { texts } from '../texts'
import { exportAddress, type JobRow, type Listed, readGroups, readSchema } from './api'
import { between } from './arrivals'
import { BulkBar } from './BulkBar'
import { columnsOf } from './columns'
import { parse } from './filter'
import { FilterField } from './FilterField'
import { JobsOperations } from './JobsOperations'
import { ListRow } from './ListRow'
import { useJobs } from './useJobs'
import { useRowChoices } from './useRowChoices'

interface Props {
  queue: string
  state: string
  text: string
  oldest: boolean
  /** Jobs of the queue that a breaker holds: they stand among the delayed. */
  held: number
  onChange: (changes: { q?: string; oldest?: boolean }) => void
}

const t = texts.joblist

/** The jobs of a state that fit a filter. It stays still while somebody reads it: what came and left is told. */
export function JobList({ queue, state, text, oldest, held, onChange }: Props) {
  const { filter, wrong } = useMemo(() => parse(text), [text])
  const listed: Listed = { queue, state, oldest, filter }
  const [over, setOver] = useState(false)
  const still = { onPointerEnter: () => setOver(true), onPointerLeave: () => setOver(false), onFocus: () => setOver(true), onBlur: () => setOver(false) }
  const [picked, setPicked] = useState<ReadonlySet<string>>(new Set())
  const [anchor, setAnchor] = useState('')
  const payloads = useMay('read_payloads')
  const box = useRef<HTMLTableElement>(null)
  const deep = useDeep(box)
  const { found, jobs, change, renew, last, at, total } = useJobs(listed, text, over || deep || picked.size > 0)
  const { hasNextPage, isFetching, fetchNextPage } = found
  useEffect(() => setPicked(new Set()), [queue, state, text, oldest])

  const columns = columnsOf(state)
  const ids = useMemo(() => jobs.map((job) => job.id), [jobs])
  const narrow = window.innerWidth <= 640
  const rows = useWindowVirtualizer({
    count: jobs.length,
    estimateSize: () => (narrow ? 78 : 37),
    overscan: 15,
    scrollMargin: box.current ? box.current.getBoundingClientRect().top + scrollY : 0,
    getItemKey: (at) => ids[at]!,
  })
  const shown = rows.getVirtualItems()
  const end = shown.at(-1)?.index ?? 0
  useEffect(() => {
    if (jobs.length >= 50 && end >= jobs.length - 20 && hasNextPage && !isFetching) void fetchNextPage()
  }, [end, jobs.length, hasNextPage, isFetching, fetchNextPage])

  const pick = (id: string, range: boolean) => {
    const next = new Set(picked)
    if (range && anchor) between(ids, anchor, id).forEach((one) => next.add(one))
    else if (!next.delete(id)) next.add(id)
    setAnchor(id)
    setPicked(next)
  }
  const navigate = useNavigate()
  const choicesOf = useRowChoices(queue, state)
  const cursor = useCursor(ids, {
    open: (id) => void navigate({ to: '/queues/$queue/jobs/$id', params: { queue, id } }),
    select: (id) => pick(id, false),
    range: (range) => setPicked(new Set([...picked, ...range])),
    reveal: (at) => rows.scrollToIndex(at, { align: 'auto' }),
  })
  useKeys({ Escape: picked.size > 0 && { says: t.unselect, run: () => setPicked(new Set()) } })

  const known = useKnown(queue, payloads, jobs)
  const above = shown.length ? shown[0]!.start - rows.options.scrollMargin : 0
  const below = shown.length ? rows.getTotalSize() - (shown.at(-1)!.end - rows.options.scrollMargin) : 0
  const refused = found.error instanceof ProblemError && found.error.status !== 503 ? [found.error.message] : []
  const filtered = text !== ''
  const wide = 7 + columns.extra.length
  const matching = !filtered ? total : hasNextPage ? null : jobs.length
  const all = jobs.length > 0 && picked.size >= jobs.length
  return (
    <>
      <JobsOperations queue={queue} />
      <div className="filter">
        <FilterField text={text} known={known} wrong={wrong} onChange={(q) => onChange({ q })} />
        <span className="small quiet nowrap" role="status">
          {last && (filtered ? t.matchOf(count(jobs.length), hasNextPage, count(last.searched), count(last.total)) : t.all(count(total ?? 0)))}
        </span>
        {payloads && (
          <a className="btn ghost hide-narrow" href={exportAddress(listed)} download={`${queue}-${state}.jsonl`} title={t.exportTitle}>
            {t.export}
          </a>
        )}
        <button className="btn ghost hide-narrow" onClick={() => onChange({ oldest: !oldest })}>
          {oldest ? (state === 'delayed' ? t.nextFirst : t.oldestFirst) : state === 'delayed' ? t.lastFirst : t.newestFirst}
          <Icon name="down" />
        </button>
      </div>
      <div id="filter-wrong" role="alert">
        {[...wrong, ...refused].map((says) => (
          <p key={says} className="banner calm is-failed">
            {says}
          </p>
        ))}
      </div>
      {found.isPending ? (
        <SkeletonRows rows={8} />
      ) : jobs.length === 0 && !hasNextPage ? (
        <Nothing queue={queue} state={state} filtered={filtered} held={held} onClear={() => onChange({ q: '' })} />
      ) : (
        <div className="joblist" {...still}>
          {(change.fresh > 0 || change.left.size > 0) && (
            <button className="came" onClick={() => void renew()} title={t.showNow}>
              {[change.fresh && t.arrived(count(change.fresh)), change.left.size && t.leftSince(count(change.left.size))].filter(Boolean).join(', ')}
            </button>
          )}
          <table className={`table list rows jobs of-${state}`} ref={box}>
            <thead>
              <tr>
                <th className="pick">
                  <input
                    className={`check ${picked.size > 0 && !all ? 'mixed' : ''}`}
                    type="checkbox"
                    aria-label={t.selectAll}
                    checked={all}
                    onChange={() => setPicked(all ? new Set() : new Set(ids))}
                  />
                </th>
                <th className="c-id">{t.columns.id}</th>
                <th className="c-name">{t.columns.name}</th>
                <th className="c-main">{t.columns[columns.main]}</th>
                {columns.extra.map((extra) => (
                  <th key={extra} className={EXTRA[extra]}>
                    {t.columns[extra]}
                  </th>
                ))}
                <th className="num col-wide c-when">{columns.when}</th>
                <th className="num c-age">{columns.lasts}</th>
                <th className="c-menu">
                  <span className="sr">{t.actions}</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {above > 0 && <Space height={above} columns={wide} />}
              {shown.map((item) => {
                const job = jobs[item.index]!
                return (
                  <ListRow
                    key={job.id}
                    queue={queue}
                    job={job}
                    state={state}
                    columns={columns}
                    at={at}
                    index={item.index}
                    measure={rows.measureElement}
                    picked={picked.has(job.id)}
                    marks={cursor.row(job.id)}
                    left={change.left.has(job.id)}
                    choices={choicesOf(job.id)}
                    onPick={(range) => pick(job.id, range)}
                  />
                )
              })}
              {below > 0 && <Space height={below} columns={wide} />}
            </tbody>
          </table>
        </div>
      )}
      {hasNextPage && jobs.length < 50 && last && (
        <div className="pad head">
          <span className="small quiet">{t.searched(count(last.searched), count(last.total))}</span>
          <button className="btn sm" disabled={isFetching} onClick={() => void fetchNextPage()}>
            {isFetching ? t.searching : t.searchOn}
          </button>
        </div>
      )}
      {picked.size > 0 && <BulkBar listed={listed} picked={picked} matching={matching} onClear={() => setPicked(new Set())} />}
    </>
  )
}

const EXTRA = { priority: 'num col-wide c-prio', attempts: 'num c-att', worker: 'c-worker', progress: 'num c-prog' }

/** What the filter offers: names and groups of the queue, fields of the jobs that are loaded. */
function useKnown(queue: string, payloads: boolean, jobs: JobRow[]) {
  const schema = useQuery({ queryKey: ['schema', queue], queryFn: () => readSchema(queue), staleTime: 60_000 })
  const groups = useQuery({ queryKey: ['groups', queue], queryFn: () => readGroups(queue), staleTime: 10_000 })
  return useMemo(
    () => ({
      names: [...new Set([...(schema.data?.names ?? []), ...jobs.map((job) => job.name)])],
      groups: groups.data?.groups.map((one) => one.group) ?? [],
      fields: [...new Set(jobs.slice(0, 200).flatMap((job) => job.preview?.map((field) => field.name).filter(Boolean) ?? []))],
      payloads,
    }),
    [schema.data, groups.data, jobs, payloads],
  )
}

/** Whether the beginning of the list is out of sight, because somebody scrolled into it. */
function useDeep(box: React.RefObject<HTMLElement | null>): boolean {
  const [deep, setDeep] = useState(false)
  useEffect(() => {
    const look = () => setDeep((box.current?.getBoundingClientRect().top ?? 0) < 0)
    addEventListener('scroll', look, { passive: true })
    return () => removeEventListener('scroll', look)
  }, [box])
  return deep
}

function Space({ height, columns }: { height: number; columns: number }) {
  return (
    <tr aria-hidden="true" className="space">
      <td colSpan={columns} ref={(cell) => void (cell && (cell.style.height = `${height}px`))} />
    </tr>
  )
}

interface Empty {
  queue: string
  state: string
  filtered: boolean
  held: number
  onClear: () => void
}

function Nothing({ queue, state, filtered, held, onClear }: Empty) {
  const elsewhere = !filtered && state === 'waiting' && held > 0
  return (
    <div className="empty">
      <h3>{filtered ? t.nothingFits : t.nothing}</h3>
      <p>{filtered ? t.otherStates : elsewhere ? t.heldElsewhere(count(held)) : t.whyEmpty[state]}</p>
      {elsewhere && (
        <Link className="btn" to="/queues/$queue" params={{ queue }} search={{ state: 'delayed' }} resetScroll={false}>
          {t.seeHeld}
        </Link>
      )}
      {filtered && (
        <button className="btn" onClick={onClear}>
          {t.clear}
        </button>
      )}
    </div>
  )
}
