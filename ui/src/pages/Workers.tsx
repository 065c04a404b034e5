import { useQuery } from '@tanstack/react-query'
import { Link, useSearch } from '@tanstack/react-router'
import { Fragment, useEffect, useState } from 'react'
import { answered, api } from '../api/client'
import { useMay } from '../api/session'
import { ago, bytes, clock, count, duration, exact, rate } from '../format'
import { ActButton } from '../parts/ActButton'
import { Confirm } from '../parts/Dialog'
import { Glyph, type GlyphName } from '../parts/Icon'
import { PageTop } from '../parts/PageTop'
import { SkeletonRows } from '../parts/Skeleton'
import { Menu } from '../parts/Menu'
import { useEvery } from '../parts/useEvery'
import { type RowMarks, useCursor } from '../shell/useCursor'
import { texts } from '../texts'
import { Decisions } from '../workers/Decisions'
import { byHost, currentVersion, type Host, leftBehind, type Mark, markOf, skewSentence, type Worker } from '../workers/fleet'
import { type Order, useOrder } from '../workers/orders'
import { NeedChart } from '../workers/NeedChart'
import { Pickets } from '../workers/Pickets'

const said = texts.workers

/** Of `unknown` it is said when the worker was heard of last. */
const MARKS: Record<Mark, { glyph: GlyphName; says: string; tone: string; row: string }> = {
  running: { glyph: 'calm', says: said.marks.running, tone: 'is-completed', row: '' },
  quiet: { glyph: 'paused', says: said.marks.quiet, tone: 'is-paused', row: '' },
  behind: { glyph: 'deploy', says: said.marks.behind, tone: 'is-limited', row: 'watch' },
  silent: { glyph: 'failed', says: said.marks.silent, tone: 'is-failed', row: 'trouble' },
  unknown: { glyph: 'next', says: '', tone: 'quiet', row: '' },
}

export function Workers() {
  const page = useQuery({
    queryKey: ['workers'],
    queryFn: () => answered(api.GET('/api/v1/workers')),
    refetchInterval: useEvery(2_000),
  })
  const mayOperate = useMay('operate')
  const order = useOrder()
  const heardSince = useHeardSince(page)
  const [asked, setAsked] = useState<Order | null>(null)
  const workers = page.data?.workers ?? []
  const busy = workers.reduce((all, worker) => all + worker.busy, 0)
  const slots = workers.reduce((all, worker) => all + worker.slots, 0)
  const hosts = byHost(workers)
  const ask = mayOperate ? setAsked : null
  return (
    <>
      <PageTop query={page}>{said.title}</PageTop>
      {page.isPending && <SkeletonRows />}
      {page.data && (
        <>
          <div className="pagehead">
            <div>
              <h1>
                {said.title} <span className="quiet light">{count(workers.length)}</span>
              </h1>
              {workers.length > 0 && (
                <p className="lead">
                  {said.busyOn(count(busy), count(slots), hosts.length)}
                </p>
              )}
            </div>
          </div>
          <Skew workers={workers} ask={ask} />
          {workers.length === 0 ? <Nobody /> : <Fleet hosts={hosts} now={page.data.at} heardSince={heardSince} current={currentVersion(workers)} ask={ask} />}
          <div className="split">
            <NeedChart />
            <Decisions />
          </div>
        </>
      )}
      {asked && (
        <Confirm
          title={asked.wish === 'stop' ? said.askStop(asked.name) : said.askQuiet(asked.name)}
          says={
            asked.wish === 'stop'
              ? said.stopSays
              : said.quietSays
          }
          verb={asked.wish === 'stop' ? said.stop : said.quiet}
          keep={said.leave}
          onClose={() => setAsked(null)}
          onConfirm={() => {
            setAsked(null)
            order.mutate(asked)
          }}
        />
      )}
    </>
  )
}

/** There the jobs of one worker alone fill the screen. */
const isNarrow = () => matchMedia('(max-width: 640px)').matches

/** Of the table. */
const COLUMNS = 9

/** Since when workers are heard of, epoch seconds: from the beginning, or from the first answer after one that failed. */
function useHeardSince({ isError, data }: { isError: boolean; data?: { at: number } }): number | null {
  const [since, setSince] = useState<number | null>(0)
  const at = data?.at ?? null
  useEffect(() => setSince((was) => (isError ? null : (was ?? at))), [isError, at])
  return isError ? null : since
}

type AskOrder = ((order: Order) => void) | null

function Skew({ workers, ask }: { workers: Worker[]; ask: AskOrder }) {
  const sentence = skewSentence(workers)
  if (sentence === null) return null
  const [first, ...more] = leftBehind(workers)
  return (
    <div className="why skew">
      <span className="is-limited">
        <Glyph name="deploy" />
      </span>
      <div>
        <p>
          <b className="strong">{said.skew(sentence.who, sentence.others)}</b> {said.notReplaced(more.length > 0)}
        </p>
      </div>
      {ask && first && more.length === 0 && (
        <ActButton className="btn" onClick={() => ask({ wish: 'stop', name: first.name })}>
          {said.stopName(first.name)}
        </ActButton>
      )}
    </div>
  )
}

function Nobody() {
  return (
    <div className="empty">
      <h2>{said.nobodyTitle}</h2>
      <p>{said.nobody}</p>
      <code>{said.start}</code>
    </div>
  )
}

interface FleetProps {
  hosts: Host[]
  now: number
  /** As `markOf` has it. */
  heardSince: number | null
  current: string | null
  ask: AskOrder
}

function Fleet({ hosts, now, heardSince, current, ask }: FleetProps) {
  const largest = Math.max(1, ...hosts.flatMap((host) => host.workers.map((worker) => worker.memoryBytes)))
  const first = hosts.flatMap((host) => host.workers).find((worker) => worker.busy > 0)?.name
  const [touched, setTouched] = useState<Record<string, boolean>>({})
  const wanted: { worker?: string } = useSearch({ strict: false })
  const [initial] = useState(wanted.worker ?? (isNarrow() ? undefined : first))
  const cursor = useCursor(hosts.flatMap((host) => host.workers.map((worker) => worker.name)))
  return (
    <table className="table rows">
      <thead>
        <tr>
          <th>{said.worker}</th>
          <th>{said.version}</th>
          <th>{said.slotsByQueue}</th>
          <th className="num">{said.done}</th>
          <th className="num">{said.cpu}</th>
          <th className="num">{said.memory}</th>
          <th className="num col-wide">{said.loop}</th>
          <th className="num col-wide">{said.beat}</th>
          <th>
            <span className="sr">{said.actions}</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {hosts.map((host) => (
          <Fragment key={host.name}>
            {hosts.length > 1 && (
              <tr className="host">
                <td colSpan={COLUMNS}>
                  <b className="strong">{host.name}</b> · {said.host(host.workers.length, host.busy, host.slots, bytes(host.memoryBytes))}
                </td>
              </tr>
            )}
            {host.workers.map((worker) => (
              <Row
                key={worker.name}
                worker={worker}
                marks={cursor.row(worker.name)}
                mark={markOf(worker, current, now, heardSince)}
                now={now}
                largest={largest}
                open={touched[worker.name] ?? worker.name === initial}
                onOpen={(open) => setTouched((was) => ({ ...was, [worker.name]: open }))}
                ask={ask}
              />
            ))}
          </Fragment>
        ))}
      </tbody>
    </table>
  )
}

interface RowProps {
  worker: Worker
  marks: RowMarks
  mark: Mark
  now: number
  largest: number
  open: boolean
  onOpen: (open: boolean) => void
  ask: AskOrder
}

function Row({ worker, marks, mark, now, largest, open, onOpen, ask }: RowProps) {
  const { glyph, tone, row } = MARKS[mark]
  const unknown = mark === 'unknown'
  const says = unknown ? said.heardAt(clock(worker.beatAt)) : MARKS[mark].says
  const shown = open && worker.jobs.length > 0
  return (
    <>
      <tr className={`${row} ${shown ? 'open' : ''}`} {...marks}>
        <td className="name">
          <span className="qname">
            <Glyph name={glyph} className={tone} />
            <button className="row-open" aria-expanded={shown} onClick={() => onOpen(!open)}>
              {worker.name}
            </button>
            <span className={`second ${mark === 'running' || mark === 'quiet' || unknown ? '' : tone}`}>
              {says}
              <span className="mono small only-narrow version">{worker.version}</span>
            </span>
            {worker.replaces && <span className="second wrap">{said.inPlaceOf(worker.replaces)}</span>}
          </span>
        </td>
        <td className="hide-narrow">
          <span className={`mono small ${mark === 'behind' ? 'is-limited strong' : ''}`}>{worker.version}</span>
          <span className="second" title={exact(worker.startedAt)}>
            {said.up(duration(now - worker.startedAt))}
          </span>
        </td>
        <td className="two" data-l={said.slots(worker.busy, worker.slots)}>
          <Pickets worker={worker} />
          <span className="second hide-narrow" title={worker.places.map((place) => said.place(place.queue, place.busy, place.slots)).join('\n')}>
            {said.busyOf(worker.busy, worker.slots, worker.queues)}
          </span>
        </td>
        <td className="num" data-l={said.doneNarrow} title={worker.done == null ? undefined : said.doneInAll(count(worker.done))}>
          {worker.donePerSecond == null ? said.unknown : rate(worker.donePerSecond)}
          {worker.donePerSecond != null && <span className="second hide-narrow">{said.aSecond}</span>}
        </td>
        <td className="num" data-l={said.cpu}>
          {said.percent(Math.round(worker.cpuPercent))}
        </td>
        <td className="num hide-narrow">
          {bytes(worker.memoryBytes)}
          <span className="bar mem-bar">
            <i style={{ width: `${(worker.memoryBytes / largest) * 100}%` }} />
          </span>
        </td>
        <td className="num col-wide hide-narrow">{duration(worker.loopLagSeconds)}</td>
        <td className="num col-wide hide-narrow" title={exact(worker.beatAt)}>
          {unknown ? clock(worker.beatAt) : ago(worker.beatAt, now)}
        </td>
        <td className="num act">
          <div className="btn-row">
          {ask && (
            <Menu
              label={said.quietOrStop(worker.name)}
              choices={[
                ...(worker.quiet ? [] : [{ name: said.quietChoice, icon: 'pause' as const, run: () => ask({ wish: 'quiet', name: worker.name }) }]),
                { name: said.stopChoice, icon: 'stop' as const, danger: true, run: () => ask({ wish: 'stop', name: worker.name }) },
              ]}
            />
          )}
          </div>
        </td>
      </tr>
      {shown && (
        <tr className="inset">
          <td colSpan={COLUMNS}>
            <ul className="slots" aria-label={said.jobsIn(worker.name)}>
              {worker.jobs.map((job) => (
                <li key={`${job.queue} ${job.id}`}>
                  <Glyph name="active" className="is-active" />
                  <Link className="ellipsis plain" to="/queues/$queue/jobs/$id" params={{ queue: job.queue, id: job.id }} title={`${job.queue} ${job.name} ${job.id}`}>
                    {job.queue} <span className="muted">{job.name}</span> <span className="mono muted">{job.id}</span>
                  </Link>
                  <span className="quiet">{duration(Math.max(0, now - job.startedAt))}</span>
                </li>
              ))}
              {worker.busy > worker.jobs.length && (
                <li>
                  <span />
                  <span className="quiet">{said.later(count(worker.busy - worker.jobs.length))}</span>
                </li>
              )}
            </ul>
          </td>
        </tr>
      )}
    </>
  )
}
