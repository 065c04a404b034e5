import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { answered, api } from '../api/client'
import type { components } from '../api/schema'
import { ago, bytes, count, duration, percent, rate } from '../format'
import { Glyph } from '../parts/Icon'
import { PageTop } from '../parts/PageTop'
import { SkeletonRows } from '../parts/Skeleton'
import { Time } from '../parts/Time'
import { useCursor } from '../shell/useCursor'
import { texts } from '../texts'

const said = texts.redis

type Page = components['schemas']['RedisPage']

const SHOWN_SLOW = 10

const PRODUCTS: Record<string, string> = { redis: 'Redis', valkey: 'Valkey', dragonfly: 'Dragonfly', keydb: 'KeyDB' }

export function Redis() {
  const page = useQuery({
    queryKey: ['redis'],
    queryFn: () => answered(api.GET('/api/v1/redis')),
    refetchInterval: 5_000,
  })
  const data = page.data
  return (
    <>
      <PageTop query={page}>{said.title}</PageTop>
      {page.isPending && <SkeletonRows rows={8} />}
      {data && (
        <>
          <div className="pagehead">
            <div>
              <h1>
                {PRODUCTS[data.product] ?? data.product} <span className="quiet light">{data.version}</span>
              </h1>
              <p className="lead">
                {data.role === null ? said.roleUnknown : data.role === 'master' ? said.primary : said.replica}
                {data.replicas !== null && said.withReplicas(data.replicas)}
                {data.uptimeSeconds !== null && said.up(duration(data.uptimeSeconds))}.
              </p>
            </div>
          </div>
          {data.refused.length > 0 && (
            <div className="banner calm">
              <Glyph name="lock" className="quiet" />
              <span className="muted">
                {said.refused(data.refused.join(', '))}
              </span>
            </div>
          )}
          <Trouble data={data} />
          <div className="columns">
            <Memory data={data} />
            <Persistence data={data} />
            <Traffic data={data} />
          </div>
          <Keyspace data={data} />
          <SlowLog data={data} />
        </>
      )}
    </>
  )
}

/** What stops or endangers the queues, one band. */
function Trouble({ data }: { data: Page }) {
  const { memory, persistence } = data
  const trouble =
    persistence?.failing
      ? said.cannotWrite
      : memory && memory.evictionPolicy !== 'noeviction' && memory.evictionPolicy !== ''
        ? said.evicts(memory.evictionPolicy)
        : null
  if (trouble === null) return null
  return (
    <div className="banner down">
      <Glyph name="failed" className="is-failed" />
      <b className="strong">{trouble}</b>
    </div>
  )
}

function Memory({ data: { memory, connected, clients } }: { data: Page }) {
  if (memory === null) return <Missing name={said.memory} />
  const limit = memory.limit || memory.machine
  const share = limit > 0 ? memory.used / limit : 0
  return (
    <section aria-label={said.memory}>
      <div className="head">
        <h2>{said.memory}</h2>
        <span className="small quiet">
          {said.usedOf(bytes(memory.used), limit > 0 ? bytes(limit) : said.unknownLimit)}
        </span>
      </div>
      <span className={`level ${share > 0.9 ? 'hot' : share > 0.75 ? 'warm' : ''}`} aria-hidden="true">
        <i style={{ width: `${Math.min(1, share) * 100}%` }} />
      </span>
      <dl className="kv">
        <dt>{said.limit}</dt>
        <dd>{memory.limit > 0 ? bytes(memory.limit) : said.noLimit}</dd>
        <dt>{said.peak}</dt>
        <dd>{bytes(memory.peak)}</dd>
        <dt>{said.fragmentation}</dt>
        <dd>{memory.fragmentation.toFixed(2)}</dd>
        <dt>{said.whenFull}</dt>
        <dd>{memory.evictionPolicy || said.notTold}</dd>
        <dt>{said.evicted}</dt>
        <dd>{count(memory.evictedKeys)}</dd>
        <dt>{said.connections}</dt>
        <dd title={clients?.map((kind) => said.clients(kind.kind, kind.connections)).join('\n')}>{connected === null ? said.notTold : count(connected)}</dd>
        {clients?.map((kind) => (
          <Pair key={kind.kind} name={`· ${kind.kind}`} value={count(kind.connections)} />
        ))}
      </dl>
    </section>
  )
}

function Persistence({ data: { persistence, pingSeconds } }: { data: Page }) {
  if (persistence === null) return <Missing name={said.persistence} />
  const longest = Math.max(...pingSeconds)
  return (
    <section aria-label={said.persistenceAndLatency}>
      <div className="head">
        <h2>{said.persistence}</h2>
      </div>
      <dl className="kv">
        <Pair name={said.appendOnly} value={persistence.appendOnly ? said.on : said.off} />
        <Pair name={said.lastWrite} value={persistence.failing ? said.writeFailed : said.wroteWell} />
        <dt>{said.lastSnapshot}</dt>
        <dd>{persistence.lastSnapshot === null ? said.noSnapshot : <Time at={persistence.lastSnapshot} relative />}</dd>
        <Pair name={said.changesSince} value={count(persistence.changesSince)} />
      </dl>
      <div className="head further">
        <h2>{said.latency}</h2>
        <span className="small quiet">{said.ping}</span>
      </div>
      <dl className="kv">
        <Pair name={said.slowest} value={microseconds(longest)} />
        <Pair name={said.quickest} value={microseconds(Math.min(...pingSeconds))} />
      </dl>
    </section>
  )
}

function Traffic({ data: { traffic, keys } }: { data: Page }) {
  if (traffic === null) return <Missing name={said.traffic} />
  const reads = traffic.hits + traffic.misses
  return (
    <section aria-label={said.traffic}>
      <div className="head">
        <h2>{said.traffic}</h2>
      </div>
      <dl className="kv">
        <Pair name={said.commands} value={rate(traffic.commandsPerSecond)} />
        <Pair name={said.in} value={said.kilobytes(rate(traffic.inputKbps))} />
        <Pair name={said.out} value={said.kilobytes(rate(traffic.outputKbps))} />
        <Pair name={said.hits} value={reads > 0 ? percent(traffic.hits / reads) : '–'} />
        <Pair name={said.processor} value={duration(traffic.cpuSeconds)} />
        <Pair name={said.keys} value={keys === null ? said.notTold : count(keys)} />
      </dl>
    </section>
  )
}

function Keyspace({ data }: { data: Page }) {
  const cursor = useCursor(data.queues.map((queue) => queue.queue))
  const heaviest = Math.max(1, ...data.queues.map((queue) => queue.bytes ?? 0))
  return (
    <section aria-label={said.queuesBySize}>
      <div className="pad head">
        <h2>{said.queuesBySize}</h2>
        <span className="small quiet">
          {data.queues.length < data.queuesInAll ? said.someQueues(data.queues.length, data.queuesInAll) : ''}
          {data.exactness}
        </span>
      </div>
      {data.queues.length === 0 ? (
        <div className="empty">
          <h3>{said.noQueueTitle}</h3>
          <p>{said.noQueue}</p>
        </div>
      ) : (
        <table className="table">
          <thead>
            <tr>
              <th>{said.queue}</th>
              <th className="num">{said.jobs}</th>
              <th className="num">{said.about}</th>
              <th className="hide-narrow" style={{ width: '36%' }}>
                <span className="sr">{said.share}</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {data.queues.map((queue) => (
              <tr key={queue.queue} {...cursor.row(queue.queue)}>
                <td className="wrap strong">
                  <Link to="/queues/$queue" params={{ queue: queue.queue }} search={{}}>
                    {queue.queue}
                  </Link>
                </td>
                <td className="num">{count(queue.jobs)}</td>
                <td className="num" title={said.estimated(queue.sampled)}>
                  {queue.bytes === null ? '–' : bytes(queue.bytes)}
                </td>
                <td className="hide-narrow">
                  <span className="bar" aria-hidden="true">
                    <i className={queue.bytes ? undefined : 'none'} style={{ width: `${((queue.bytes ?? 0) / heaviest) * 100}%` }} />
                  </span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  )
}

function SlowLog({ data: { slow, slowInAll, at } }: { data: Page }) {
  const [all, setAll] = useState(false)
  if (slow === null) return null
  const shown = all ? slow : slow.slice(0, SHOWN_SLOW)
  return (
    <section aria-label={said.slowLog}>
      <div className="pad head">
        <h2>{said.slowLog}</h2>
        <span className="small quiet">
          {slow.length < (slowInAll ?? 0) ? said.lastSlow(slow.length, slowInAll) : ''}
          {said.byName}
        </span>
      </div>
      {slow.length === 0 ? (
        <p className="pad muted">{said.noneSlow}</p>
      ) : (
        <table className="table">
          <thead>
            <tr>
              <th>{said.when}</th>
              <th>{said.command}</th>
              <th className="num">{said.took}</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((entry, place) => (
              <tr key={place}>
                <td>
                  <Time at={entry.at} /> <span className="quiet hide-narrow">{ago(entry.at, at)}</span>
                </td>
                <td>
                  <code>{entry.command}</code>
                </td>
                <td className="num">{duration(entry.seconds)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {slow.length > shown.length && (
        <div className="pad head">
          <button className="btn sm" onClick={() => setAll(true)}>
            {said.all(slow.length)}
          </button>
        </div>
      )}
    </section>
  )
}

function Pair({ name, value }: { name: string; value: string }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </>
  )
}

function Missing({ name }: { name: string }) {
  return (
    <section aria-label={name}>
      <div className="head">
        <h2>{name}</h2>
      </div>
      <p className="muted">{said.missing}</p>
    </section>
  )
}

function microseconds(seconds: number): string {
  return seconds < 0.001 ? `${Math.round(seconds * 1e6)}\u00a0µs` : duration(seconds)
}
