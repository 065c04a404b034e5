import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { clock, duration, exact, precise } from '../format'
import { Glyph } from '../parts/Icon'
import { useNow } from '../parts/useNow'
import { texts } from '../texts'
import type { JobView, Moments } from './api'
import { Compare } from './Compare'
import { stackLines } from './stack'
import { type Entry, shares, sums, timeline } from './timeline'

const says = texts.job

const LOOKS = {
  running: { glyph: 'active', tone: 'is-active' },
  delayed: { glyph: 'delayed', tone: 'is-delayed' },
  held: { glyph: 'held', tone: 'is-failed' },
  waiting: { glyph: 'waiting', tone: 'is-waiting' },
} as const

export function Timeline({ job, moments, skew }: { job: JobView; moments?: Moments; skew: number }) {
  const now = useNow() + skew
  const [comparing, setComparing] = useState(false)
  const parts = shares(job, now)
  const all = parts.reduce((sum, part) => sum + part.seconds, 0)
  const said = sums(parts).map((part) => ({ ...part, text: `${duration(part.seconds)} ${says.kinds[part.kind]}` }))
  const deadline = job.status === 'active' && job.timeout != null && job.startedAt != null ? job.startedAt + job.timeout - now : null
  const trimmed = moments?.since != null && job.enqueuedAt != null && moments.since > job.enqueuedAt
  return (
    <section className="pad below" aria-label={says.timeline}>
      <div className="head">
        <h2>{says.timeline}</h2>
        <span className="small quiet">
          {duration(all)} {job.finishedAt == null ? says.soFar : says.inAll}
        </span>
        <div className="right">
          {job.runs.length > 1 && (
            <button className="link small bare" onClick={() => setComparing(true)}>
              {says.compare}
            </button>
          )}
        </div>
      </div>
      {all > 0 && (
        <>
          <svg className="shares" viewBox="0 0 1000 8" preserveAspectRatio="none" role="img" aria-label={said.map((part) => part.text).join(', ')}>
            <defs>
              <pattern id="held-hatch" width="8" height="8" patternUnits="userSpaceOnUse" patternTransform="skewX(-35)">
                <rect width="3" height="8" className="held" />
              </pattern>
            </defs>
            {places(parts, all).map(({ kind, from, width }, n) => (
              <rect key={n} className={kind === 'held' ? 'hatched' : kind} fill={kind === 'held' ? 'url(#held-hatch)' : undefined} x={from} width={width} height={8} rx={1} />
            ))}
          </svg>
          <div className="legend below-small">
            {said.map((part) => (
              <span key={part.kind} className={LOOKS[part.kind].tone}>
                <Glyph name={LOOKS[part.kind].glyph} />
                {part.text}
              </span>
            ))}
          </div>
        </>
      )}
      <ol className="timeline">
        {timeline(job, now, moments).map((entry) => (
          <Step key={entry.key} entry={entry} now={now} queue={job.held ? null : job.queue} deadline={entry.newest ? deadline : null} />
        ))}
      </ol>
      {trimmed && <p className="small quiet above">{says.eventsSince(clock(moments.since!))}</p>}
      {comparing && <Compare job={job} changes={moments?.changes ?? []} onClose={() => setComparing(false)} />}
    </section>
  )
}

/** Where each part stands on the bar: none so thin that it is not seen. */
function places(parts: ReturnType<typeof shares>, all: number) {
  let before = 0
  return parts.map(({ kind, seconds }) => {
    const from = Math.min(994, (before / all) * 1000)
    before += seconds
    return { kind, from, width: Math.max(6, (seconds / all) * 1000 - 2) }
  })
}

/** queue: where others like it are found; null: a held job is no dead letter, and they are none. */
function Step({ entry, now, queue, deadline }: { entry: Entry; now: number; queue: string | null; deadline: number | null }) {
  const coming = entry.key === 'next' && entry.at != null ? entry.at - now : null
  return (
    <li className={entry.wait ? 'wait' : ''}>
      {entry.at == null ? (
        <time aria-hidden="true">·</time>
      ) : (
        <time dateTime={exact(entry.at)} title={exact(entry.at)}>
          {precise(entry.at)}
        </time>
      )}
      <span className={`node ${entry.tone}`}>
        <Glyph name={entry.glyph} />
      </span>
      <div className="body">
        <div className="row1">
          <b>{entry.title}</b>
          {(entry.says || coming != null) && (
            <span className="muted">
              {entry.says} {coming != null && (coming > 0 ? says.inTimeShort(coming) : says.dueNow)}
            </span>
          )}
          {entry.notSpent && <span className="is-completed small">{says.notSpent}</span>}
          {deadline != null && <span className={deadline < 0 ? 'is-failed small' : 'quiet small'}>{deadline < 0 ? says.pastTimeout : says.timesOut(deadline)}</span>}
          {entry.took && <span className="dur">{entry.took}</span>}
        </div>
        {entry.chips && entry.chips.length > 0 && (
          <div className="chips">
            {entry.chips.map((chip) => (
              <span key={chip}>{chip}</span>
            ))}
          </div>
        )}
        {entry.failure && <FailureBox failure={entry.failure} open={entry.newest ?? false} queue={queue} />}
      </div>
    </li>
  )
}

function FailureBox({ failure, open, queue }: { failure: NonNullable<Entry['failure']>; open: boolean; queue: string | null }) {
  const [turned, setTurned] = useState(false)
  const shown = open !== turned
  const name = failure.errorType.split('.').at(-1)
  return (
    <>
      <div className="err">
        <span className="type">{name || says.error}</span>{' '}
        {failure.reason ?? <span className="quiet">{says.reasonHidden}</span>}{' '}
        {failure.against && <span className="quiet small">{failure.against} </span>}
        {failure.trace && (
          <button className="link small bare" aria-expanded={shown} onClick={() => setTurned(!turned)}>
            {shown ? says.hideTrace : says.trace}
          </button>
        )}{' '}
        {queue !== null && open && failure.trace && failure.reason && <span className="quiet">· </span>}
        {queue !== null && open && failure.reason && (
          <Link className="link small" to="/queues/$queue" params={{ queue }} search={{ state: 'failed', q: `error:"${failure.reason.split('"')[0]!.slice(0, 60)}"` }}>
            {says.likeThis}
          </Link>
        )}
      </div>
      {shown && failure.trace && (
        <div className="stack" tabIndex={0} role="region" aria-label={says.stackTrace}>
          {stackLines(failure.trace).map((line, n) => (
            <div key={n} className={line.hot ? 'hl' : ''}>
              <span className="ln">{line.number}</span>
              {line.text}
              {line.where && <b>{line.where}</b>}
            </div>
          ))}
        </div>
      )}
    </>
  )
}
