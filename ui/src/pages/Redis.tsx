import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { answered, api } from '../api/client'
import type { components } from '../api/schema'
import { ago, bytes, count, duration, percent, rate } from '../format'
import { Glyph } from '../parts/Icon'
import { PageTop } from '../parts/PageTop'
import { SkeletonRows } from '../parts/Skeleton'
import { Time } from '../parts/Time'
import '../work.css'

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
      <PageTop query={page}>Redis</PageTop>
      {page.isPending && <SkeletonRows rows={8} />}
      {data && (
        <>
          <div className="pagehead">
            <div>
              <h1>
                {PRODUCTS[data.product] ?? data.product} <span className="quiet">{data.version}</span>
              </h1>
              <p className="lead">
                {data.role === null ? 'Its role is not told' : data.role === 'master' ? 'Primary' : 'Replica'}
                {data.replicas !== null && ` with ${data.replicas === 1 ? 'one replica' : `${data.replicas || 'no'} replicas`}`}
                {data.uptimeSeconds !== null && `, up ${duration(data.uptimeSeconds)}`}.
              </p>
            </div>
          </div>
          {data.refused.length > 0 && (
            <div className="banner calm">
              <Glyph name="lock" className="quiet" />
              <span className="muted">
                This server lets Corral not ask {data.refused.join(', ')}: what they would tell is missing here.
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
  const said =
    persistence?.failing
      ? 'It cannot write to its disk. Jobs added now are lost if it stops.'
      : memory && memory.evictionPolicy !== 'noeviction' && memory.evictionPolicy !== ''
        ? `Its eviction policy is ${memory.evictionPolicy}: when memory is full it deletes jobs. Set maxmemory-policy noeviction.`
        : null
  if (said === null) return null
  return (
    <div className="banner down">
      <Glyph name="failed" className="is-failed" />
      <b className="strong">{said}</b>
    </div>
  )
}

function Memory({ data: { memory, connected, clients } }: { data: Page }) {
  if (memory === null) return <Missing name="Memory" />
  const limit = memory.limit || memory.machine
  const share = limit > 0 ? memory.used / limit : 0
  return (
    <section aria-label="Memory">
      <div className="head">
        <h2>Memory</h2>
        <span className="small quiet">
          {bytes(memory.used)} of {limit > 0 ? bytes(limit) : 'an unknown limit'}
        </span>
      </div>
      <span className={`level ${share > 0.9 ? 'hot' : share > 0.75 ? 'warm' : ''}`} aria-hidden="true">
        <i style={{ width: `${Math.min(1, share) * 100}%` }} />
      </span>
      <dl className="kv">
        <dt>Limit</dt>
        <dd>{memory.limit > 0 ? bytes(memory.limit) : 'none set'}</dd>
        <dt>Peak</dt>
        <dd>{bytes(memory.peak)}</dd>
        <dt>Given by the system for each byte</dt>
        <dd>{memory.fragmentation.toFixed(2)}</dd>
        <dt>When full</dt>
        <dd>{memory.evictionPolicy || 'not told'}</dd>
        <dt>Keys evicted</dt>
        <dd>{count(memory.evictedKeys)}</dd>
        <dt>Connections</dt>
        <dd title={clients?.map((kind) => `${kind.kind}: ${kind.connections}`).join('\n')}>{connected === null ? 'not told' : count(connected)}</dd>
        {clients?.map((kind) => (
          <Pair key={kind.kind} name={`· ${kind.kind}`} value={count(kind.connections)} />
        ))}
      </dl>
    </section>
  )
}

function Persistence({ data: { persistence, pingSeconds } }: { data: Page }) {
  if (persistence === null) return <Missing name="Persistence" />
  const longest = Math.max(...pingSeconds)
  return (
    <section aria-label="Persistence and latency">
      <div className="head">
        <h2>Persistence</h2>
      </div>
      <dl className="kv">
        <Pair name="Append-only file" value={persistence.appendOnly ? 'on' : 'off'} />
        <Pair name="Last write" value={persistence.failing ? 'failed' : 'well'} />
        <dt>Last snapshot</dt>
        <dd>{persistence.lastSnapshot === null ? 'none' : <Time at={persistence.lastSnapshot} relative />}</dd>
        <Pair name="Changes since" value={count(persistence.changesSince)} />
      </dl>
      <div className="head">
        <h2>Latency</h2>
        <span className="small quiet">PING from here</span>
      </div>
      <dl className="kv">
        <Pair name="Slowest of three" value={microseconds(longest)} />
        <Pair name="Quickest" value={microseconds(Math.min(...pingSeconds))} />
      </dl>
    </section>
  )
}

function Traffic({ data: { traffic, keys } }: { data: Page }) {
  if (traffic === null) return <Missing name="Traffic" />
  const reads = traffic.hits + traffic.misses
  return (
    <section aria-label="Traffic">
      <div className="head">
        <h2>Traffic</h2>
      </div>
      <dl className="kv">
        <Pair name="Commands a second" value={rate(traffic.commandsPerSecond)} />
        <Pair name="In" value={`${rate(traffic.inputKbps)} KB/s`} />
        <Pair name="Out" value={`${rate(traffic.outputKbps)} KB/s`} />
        <Pair name="Reads that found their key, since start" value={reads > 0 ? percent(traffic.hits / reads) : '–'} />
        <Pair name="Processor time, since start" value={duration(traffic.cpuSeconds)} />
        <Pair name="Keys" value={keys === null ? 'not told' : count(keys)} />
      </dl>
    </section>
  )
}

function Keyspace({ data }: { data: Page }) {
  const heaviest = Math.max(1, ...data.queues.map((queue) => queue.bytes ?? 0))
  return (
    <section aria-label="Queues by size">
      <div className="pad head">
        <h2>Queues by size</h2>
        <span className="small quiet">
          {data.queues.length < data.queuesInAll ? `${data.queues.length} of ${data.queuesInAll} queues. ` : ''}
          {data.exactness}
        </span>
      </div>
      {data.queues.length === 0 ? (
        <div className="empty">
          <h3>No queue yet</h3>
          <p>A queue is here as soon as a job was added to it.</p>
        </div>
      ) : (
        <table className="table">
          <thead>
            <tr>
              <th>Queue</th>
              <th className="num">Jobs</th>
              <th className="num">About</th>
              <th className="hide-narrow" style={{ width: '36%' }}>
                <span className="sr">Share</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {data.queues.map((queue) => (
              <tr key={queue.queue}>
                <td className="wrap strong">{queue.queue}</td>
                <td className="num">{count(queue.jobs)}</td>
                <td className="num" title={`estimated from ${queue.sampled} jobs`}>
                  {queue.bytes === null ? '–' : bytes(queue.bytes)}
                </td>
                <td className="hide-narrow">
                  <span className="bar" aria-hidden="true">
                    <i style={{ width: `${((queue.bytes ?? 0) / heaviest) * 100}%` }} />
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
    <section aria-label="Slow log">
      <div className="pad head">
        <h2>Slow log</h2>
        <span className="small quiet">
          {slow.length < (slowInAll ?? 0) ? `the last ${slow.length} of ${slowInAll}; ` : ''}commands by name, never what they carried
        </span>
      </div>
      {slow.length === 0 ? (
        <p className="pad muted">No command was slower than the server's slowlog-log-slower-than.</p>
      ) : (
        <table className="table">
          <thead>
            <tr>
              <th>When</th>
              <th>Command</th>
              <th className="num">Took</th>
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
            All {slow.length}
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
      <p className="muted">The server does not tell.</p>
    </section>
  )
}

function microseconds(seconds: number): string {
  return seconds < 0.001 ? `${Math.round(seconds * 1e6)}\u00a0µs` : duration(seconds)
}
