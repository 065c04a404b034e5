import { useQuery } from '@tanstack/react-query'
import { Fragment, useState } from 'react'
import { answered, api } from '../api/client'
import { useMay } from '../api/session'
import { ago, bytes, count, duration, exact } from '../format'
import { Confirm } from '../parts/Dialog'
import { Glyph, type GlyphName } from '../parts/Icon'
import { PageTop } from '../parts/PageTop'
import { SkeletonRows } from '../parts/Skeleton'
import { RowMenu } from '../parts/RowMenu'
import { useEvery } from '../parts/useEvery'
import { Decisions } from '../workers/Decisions'
import { byHost, currentVersion, type Host, leftBehind, type Mark, markOf, skewSentence, type Worker } from '../workers/fleet'
import { type Order, useOrder } from '../workers/orders'
import { Pickets } from '../workers/Pickets'
import '../work.css'

const MARKS: Record<Mark, { glyph: GlyphName; says: string; tone: string; row: string }> = {
  running: { glyph: 'calm', says: 'Running', tone: 'is-completed', row: '' },
  quiet: { glyph: 'paused', says: 'Quiet: takes no new jobs', tone: 'is-paused', row: '' },
  behind: { glyph: 'deploy', says: 'Missed the last deploy', tone: 'is-limited', row: 'watch' },
  silent: { glyph: 'failed', says: 'Its beat is missing', tone: 'is-failed', row: 'trouble' },
}

export function Workers() {
  const page = useQuery({
    queryKey: ['workers'],
    queryFn: () => answered(api.GET('/api/v1/workers')),
    refetchInterval: useEvery(2_000),
  })
  const mayOperate = useMay('operate')
  const order = useOrder()
  const [asked, setAsked] = useState<Order | null>(null)
  const workers = page.data?.workers ?? []
  const busy = workers.reduce((all, worker) => all + worker.busy, 0)
  const slots = workers.reduce((all, worker) => all + worker.slots, 0)
  const hosts = byHost(workers)
  const ask = mayOperate && !page.isError ? setAsked : null
  return (
    <>
      <PageTop query={page}>Workers</PageTop>
      {page.isPending && <SkeletonRows />}
      {page.data && (
        <>
          <div className="pagehead">
            <div>
              <h1>
                Workers <span className="quiet">{count(workers.length)}</span>
              </h1>
              {workers.length > 0 && (
                <p className="lead">
                  {count(busy)} of {count(slots)} slots busy on {hosts.length === 1 ? 'one host' : `${hosts.length} hosts`}.
                </p>
              )}
            </div>
          </div>
          <Skew workers={workers} ask={ask} />
          {workers.length === 0 ? <Nobody /> : <Fleet hosts={hosts} now={page.data.at} current={currentVersion(workers)} ask={ask} />}
          <Decisions />
        </>
      )}
      {asked && (
        <Confirm
          title={asked.wish === 'stop' ? `Stop ${asked.name}?` : `Let ${asked.name} take no new jobs?`}
          says={
            asked.wish === 'stop'
              ? 'It ends the jobs it has, as with SIGTERM; what does not end in time goes back to its queue. A supervisor starts a fresh process in its place.'
              : 'It ends the jobs it has and stays, idle, until it is stopped. There is no way back but a fresh process.'
          }
          verb={asked.wish === 'stop' ? 'Stop it' : 'Make it quiet'}
          keep="Leave it"
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
          <b className="strong">
            {sentence.who}, {sentence.others}.
          </b>{' '}
          {more.length === 0 ? 'It was not replaced' : 'They were not replaced'} when the last version came. Nothing is lost as long as each knows the jobs it gets.
        </p>
      </div>
      {ask && first && more.length === 0 && (
        <button className="btn" onClick={() => ask({ wish: 'stop', name: first.name })}>
          Stop {first.name}
        </button>
      )}
    </div>
  )
}

function Nobody() {
  return (
    <div className="empty">
      <h3>No worker runs</h3>
      <p>Jobs wait until one does. A process is here within five seconds of its start, and gone 20 seconds after its last beat.</p>
      <code>corral worker</code>
    </div>
  )
}

interface FleetProps {
  hosts: Host[]
  now: number
  current: string | null
  ask: AskOrder
}

function Fleet({ hosts, now, current, ask }: FleetProps) {
  const largest = Math.max(1, ...hosts.flatMap((host) => host.workers.map((worker) => worker.memoryBytes)))
  const first = hosts.flatMap((host) => host.workers).find((worker) => worker.busy > 0)?.name
  const [touched, setTouched] = useState<Record<string, boolean>>({})
  const [initial] = useState(first)
  return (
    <table className="table rows">
      <thead>
        <tr>
          <th>Worker</th>
          <th>Version</th>
          <th>Slots, by queue</th>
          <th className="num">CPU</th>
          <th className="num">Memory</th>
          <th className="num col-wide">Loop stopped</th>
          <th className="num col-wide">Last beat</th>
          <th>
            <span className="sr">Actions</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {hosts.map((host) => (
          <Fragment key={host.name}>
            {hosts.length > 1 && (
              <tr className="host">
                <td colSpan={8}>
                  <b className="strong">{host.name}</b> · {host.workers.length === 1 ? 'one process' : `${host.workers.length} processes`} · {host.busy} of {host.slots} busy · {bytes(host.memoryBytes)}
                </td>
              </tr>
            )}
            {host.workers.map((worker) => (
              <Row
                key={worker.name}
                worker={worker}
                mark={markOf(worker, current, now)}
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
  mark: Mark
  now: number
  largest: number
  open: boolean
  onOpen: (open: boolean) => void
  ask: AskOrder
}

function Row({ worker, mark, now, largest, open, onOpen, ask }: RowProps) {
  const { glyph, says, tone, row } = MARKS[mark]
  const shown = open && worker.jobs.length > 0
  return (
    <>
      <tr className={`${row} ${shown ? 'open' : ''}`}>
        <td className="name">
          <span className="qname">
            <Glyph name={glyph} className={tone} />
            <button className="row-open" aria-expanded={shown} onClick={() => onOpen(!open)}>
              {worker.name}
            </button>
            <span className={`second ${mark === 'running' || mark === 'quiet' ? '' : tone}`}>{says}</span>
          </span>
        </td>
        <td data-l="Version">
          <span className={`mono small ${mark === 'behind' ? 'is-limited strong' : ''}`}>{worker.version}</span>
          <span className="second hide-narrow" title={exact(worker.startedAt)}>
            up {duration(now - worker.startedAt)}
          </span>
        </td>
        <td className="two" data-l={`Slots: ${worker.busy} of ${worker.slots}`}>
          <Pickets worker={worker} />
          <span className="second hide-narrow" title={worker.places.map((place) => `${place.queue}: ${place.busy} of ${place.slots}`).join('\n')}>
            {worker.busy} of {worker.slots} · {worker.queues.length === 1 ? worker.queues[0] : `${worker.queues.length} queues`}
          </span>
        </td>
        <td className="num" data-l="CPU">
          {Math.round(worker.cpuPercent)}
          {'\u00a0'}%
        </td>
        <td className="num hide-narrow">
          {bytes(worker.memoryBytes)}
          <span className="bar mem-bar">
            <i style={{ width: `${(worker.memoryBytes / largest) * 100}%` }} />
          </span>
        </td>
        <td className="num col-wide hide-narrow">{duration(worker.loopLagSeconds)}</td>
        <td className="num col-wide hide-narrow" title={exact(worker.beatAt)}>
          {ago(worker.beatAt, now)}
        </td>
        <td className="num act">
          <div className="btn-row">
          {ask && (
            <RowMenu
              label={`Quiet or stop ${worker.name}`}
              choices={[
                ...(worker.quiet ? [] : [{ name: 'Take no new jobs…', icon: 'pause' as const, onSelect: () => ask({ wish: 'quiet', name: worker.name }) }]),
                { name: 'Stop…', icon: 'stop' as const, danger: true, onSelect: () => ask({ wish: 'stop', name: worker.name }) },
              ]}
            />
          )}
          </div>
        </td>
      </tr>
      {shown && (
        <tr className="inset">
          <td colSpan={8}>
            <ul className="slots" aria-label={`Jobs in the slots of ${worker.name}, those that run longest`}>
              {worker.jobs.map((job) => (
                <li key={`${job.queue} ${job.id}`}>
                  <Glyph name="active" className="is-active" />
                  <span className="ellipsis">
                    {job.queue} <span className="muted">{job.name}</span> <span className="mono muted">{job.id}</span>
                  </span>
                  <span className="quiet">{duration(Math.max(0, now - job.startedAt))}</span>
                </li>
              ))}
              {worker.busy > worker.jobs.length && (
                <li>
                  <span />
                  <span className="quiet">and {count(worker.busy - worker.jobs.length)} that started later</span>
                </li>
              )}
            </ul>
          </td>
        </tr>
      )}
    </>
  )
}
