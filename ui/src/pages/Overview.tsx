import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { answered, api } from '../api/client'
import { bytes, count, duration, percent, rate } from '../format'
import { AgeBar } from '../parts/AgeBar'
import { Glyph } from '../parts/Icon'
import { PageTop } from '../parts/PageTop'
import { Spark } from '../parts/Spark'
import { useEvery } from '../parts/useEvery'
import { useStillOrder } from '../parts/useStillOrder'
import { useDesk } from '../dead/desk'
import { incidents } from '../overview/incident'
import { IncidentBand } from '../overview/IncidentBand'
import { besides, condition, OBJECTIVE_SECONDS, type OverviewQueue, waitingOf, worstFirst } from '../queues/trouble'

export function useOverview(every = 2_000) {
  return useQuery({
    queryKey: ['overview'],
    queryFn: () => answered(api.GET('/api/v1/overview')),
    refetchInterval: useEvery(every),
  })
}

export function Overview() {
  const overview = useOverview()
  const dead = useDesk()
  const data = overview.data
  return (
    <>
      <PageTop query={overview}>Overview</PageTop>
      {data && <IncidentBand incidents={incidents(data, dead.data)} off={overview.isError} />}
      {data && <Facts queues={data.queues} workers={data.workers} memory={data.server?.memoryBytes} />}
      <div className="pad head">
        <h2>Queues</h2>
        <span className="small quiet">worst first</span>
      </div>
      {data && <Queues worst={worstFirst(data.queues)} />}
    </>
  )
}

function Facts({ queues, workers, memory }: { queues: OverviewQueue[]; workers: number; memory?: number }) {
  const sum = (of: (queue: OverviewQueue) => number) => queues.reduce((all, queue) => all + of(queue), 0)
  const facts: [string, string, string][] = [
    ['In', rate(sum((q) => q.row.recent.arrived / q.row.recent.windowSeconds)), ' /s'],
    ['Out', rate(sum((q) => q.row.recent.perSecond)), ' /s'],
    ['Waiting', count(sum((q) => waitingOf(q.row.states))), ''],
    ['Active', count(sum((q) => q.row.states['active'] ?? 0)), ''],
    ['Delayed', count(sum((q) => q.row.states['delayed'] ?? 0)), ''],
    ['Dead letters', count(sum((q) => q.row.states['failed'] ?? 0)), ''],
    ['Workers', count(workers), ''],
    ['Redis', memory === undefined ? '–' : bytes(memory), ''],
  ]
  return (
    <dl className="facts">
      {facts.map(([name, value, unit]) => (
        <div key={name} className={name === 'Active' || name === 'Delayed' ? 'col-wide' : ''}>
          <dt>{name}</dt>
          <dd>
            {value}
            <small>{unit}</small>
          </dd>
        </div>
      ))}
    </dl>
  )
}

function Queues({ worst }: { worst: OverviewQueue[] }) {
  const { shown: queues, hold } = useStillOrder(worst, (queue) => queue.row.queue)
  if (queues.length === 0) {
    return (
      <div className="empty">
        <h3>No queue yet</h3>
        <p>A queue is here as soon as a job was added to it, by Corral or by BullMQ.</p>
      </div>
    )
  }
  return (
    <table className="table rows" {...hold}>
      <thead>
        <tr>
          <th>Queue</th>
          <th className="num">Waiting</th>
          <th style={{ width: 148 }}>Oldest / objective</th>
          <th className="num">In /s</th>
          <th className="num">Out /s</th>
          <th className="num">Drained in</th>
          <th className="num">Failed</th>
          <th className="num">p95</th>
          <th className="col-wide">Ended, 1 h</th>
        </tr>
      </thead>
      <tbody>
        {queues.map((queue) => (
          <Row key={queue.row.queue} queue={queue} />
        ))}
      </tbody>
    </table>
  )
}

function Row({ queue }: { queue: OverviewQueue }) {
  const { row } = queue
  const now = condition(queue)
  const oldest = row.oldestWaitingSeconds ?? 0
  const tone = now.level === 'trouble' ? 'is-failed' : now.level === 'watch' ? 'is-limited' : ''
  const dead = row.states['failed'] ?? 0
  return (
    <tr className={now.level === 'calm' ? '' : now.level}>
      <td className="full">
        <span className="qname">
          <Glyph name={now.glyph} className={tone || 'quiet'} />
          <Link className="qlink" to="/queues/$queue" params={{ queue: row.queue }} search={{}}>
            <b>{row.queue}</b>
          </Link>
          <span className="second">{now.says}</span>
        </span>
      </td>
      <td className="num" data-l="Waiting">
        <span className="strong">{count(waitingOf(row.states))}</span>
        <span className="second hide-narrow">{besides(row.states)}</span>
      </td>
      <td className="two" data-l="Oldest">
        <span className={oldest > OBJECTIVE_SECONDS ? 'is-failed strong' : ''}>{duration(oldest)}</span>
        <span className="quiet"> / {duration(OBJECTIVE_SECONDS)}</span>
        <AgeBar seconds={oldest} objective={OBJECTIVE_SECONDS} />
      </td>
      <td className="num wide-only">{rate(row.recent.arrived / row.recent.windowSeconds)}</td>
      <td className="num" data-l="Out /s">{rate(row.recent.perSecond)}</td>
      <td className="num wide-only">{row.drainSeconds === 0 ? 'now' : row.drainSeconds == null ? <span className="is-failed">not draining</span> : duration(row.drainSeconds)}</td>
      <td className="num wide-only">
        {percent(row.recent.failureRate)}
        <span className="second">{dead ? `${count(dead)} dead` : 'none dead'}</span>
      </td>
      <td className="num wide-only">
        {duration(row.recent.runP95)}
        <span className="second">p50 {duration(row.recent.runP50)}</span>
      </td>
      <td className="col-wide wide-only">
        <Spark values={queue.ended} level={now.level} label={`${row.queue}: jobs that ended, by minute, last hour`} />
      </td>
    </tr>
  )
}
