import { useState } from 'react'
import { duration } from '../format'
import { Glyph } from '../parts/Icon'
import { useNow } from '../parts/useNow'
import type { JobView } from './api'
import { type Entry, shares, stackLines, timeline } from './timeline'

const WORDS = {
  running: { glyph: 'active', tone: 'is-active', says: 'running' },
  delayed: { glyph: 'delayed', tone: 'is-delayed', says: 'delayed' },
  held: { glyph: 'held', tone: 'is-failed', says: 'held' },
  waiting: { glyph: 'waiting', tone: 'is-waiting', says: 'waiting' },
} as const

export function Timeline({ job, skew }: { job: JobView; skew: number }) {
  const now = useNow() + skew
  const parts = shares(job, now)
  const all = parts.reduce((sum, part) => sum + part.seconds, 0)
  const said = parts.map((part) => `${duration(part.seconds)} ${WORDS[part.kind].says}`)
  return (
    <section className="pad below">
      <div className="head">
        <h2>Timeline</h2>
        <span className="small quiet">
          {duration(all)} {job.finishedAt == null ? 'so far' : 'in all'}
        </span>
      </div>
      {all > 0 && (
        <>
          <svg className="shares" viewBox={`0 0 1000 8`} preserveAspectRatio="none" role="img" aria-label={said.join(', ')}>
            {parts.map((part, n) => {
              const before = parts.slice(0, n).reduce((sum, one) => sum + one.seconds, 0)
              const width = Math.max(4, (part.seconds / all) * 1000 - 3)
              return <rect key={part.kind} className={part.kind} x={Math.min(996, (before / all) * 1000)} width={width} height={8} rx={1} />
            })}
          </svg>
          <div className="legend below-small">
            {parts.map((part, n) => (
              <span key={part.kind} className={WORDS[part.kind].tone}>
                <Glyph name={WORDS[part.kind].glyph} />
                {said[n]}
              </span>
            ))}
          </div>
        </>
      )}
      <ol className="timeline">
        {timeline(job, now).map((entry) => (
          <Step key={entry.key} entry={entry} now={now} />
        ))}
      </ol>
    </section>
  )
}

function Step({ entry, now }: { entry: Entry; now: number }) {
  const coming = entry.key === 'next' && entry.at != null ? entry.at - now : null
  return (
    <li className={entry.wait ? 'wait' : ''}>
      {entry.at == null ? <time aria-hidden="true">·</time> : <time dateTime={iso(entry.at)} title={iso(entry.at)}>{precise(entry.at)}</time>}
      <span className={`node ${entry.tone}`}>
        <Glyph name={entry.glyph} />
      </span>
      <div className="body">
        <div className="row1">
          <b>{entry.title}</b>
          <span className="muted">
            {entry.says}
            {coming != null && (coming > 0 ? `in ${duration(coming)}` : 'due now')}
          </span>
          {entry.took && <span className="dur">{entry.took}</span>}
        </div>
        {entry.chips && entry.chips.length > 0 && (
          <div className="chips">
            {entry.chips.map((chip) => (
              <span key={chip}>{chip}</span>
            ))}
          </div>
        )}
        {entry.failure && <FailureBox failure={entry.failure} open={entry.at != null} />}
      </div>
    </li>
  )
}

function FailureBox({ failure, open }: { failure: NonNullable<Entry['failure']>; open: boolean }) {
  const [shown, setShown] = useState(open)
  return (
    <>
      <div className="err">
        <span className="type">{failure.errorType.split('.').at(-1) || 'Error'}</span>{' '}
        {failure.reason ?? <span className="quiet">the reason is redacted</span>}{' '}
        {failure.trace && (
          <button className="link small bare" aria-expanded={shown} onClick={() => setShown(!shown)}>
            {shown ? 'Hide trace' : 'Trace'}
          </button>
        )}
      </div>
      {shown && failure.trace && (
        <div className="stack" tabIndex={0} aria-label="Stack trace">
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

const iso = (at: number) => new Date(at * 1000).toISOString()

/** The time of the day with milliseconds. */
function precise(at: number): string {
  const date = new Date(at * 1000)
  const today = date.toDateString() === new Date().toDateString()
  return today
    ? `${date.toLocaleTimeString('en-GB')}.${String(date.getMilliseconds()).padStart(3, '0')}`
    : `${date.toLocaleDateString('en-CA').slice(5)} ${date.toLocaleTimeString('en-GB')}`
}
