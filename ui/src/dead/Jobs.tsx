import { useState } from 'react'
import { count, duration } from '../format'
import { Time } from '../parts/Time'
import { useJobs } from './desk'
import { type Group, pairs } from './groups'
import { texts } from '../texts'

const say = texts.dead

const FIRST = 8
const MORE = 200

/** The jobs of the chosen group, the newest first; a click shows one beside it. */
export function Jobs({ group, job, onJob }: { group: Group; job: string; onJob: (id: string) => void }) {
  const [shown, setShown] = useState(FIRST)
  const jobs = useJobs(group, shown)
  const rows = jobs.data?.jobs ?? []
  return (
    <section aria-label={say.jobsOfGroup}>
      <div className="pad head">
        <h2>{say.jobsOfGroup}</h2>
        <span className="small quiet">{say.newestFirst(count(group.count))}</span>
      </div>
      {jobs.isError && !jobs.data && <p className="pad is-failed">{jobs.error.message}</p>}
      <table className="table list rows">
        <thead>
          <tr>
            <th>{say.columns.id}</th>
            <th>{say.columns.data}</th>
            <th>{say.columns.worker}</th>
            <th className="num">{say.columns.attempts}</th>
            <th className="num">{say.columns.ran}</th>
            <th className="num">{say.columns.died}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.id} className={row.id === job ? 'sel' : ''} onClick={() => onJob(row.id)}>
              <td data-l={say.columns.id}>
                <button className="mono plain" aria-current={row.id === job || undefined}>
                  {row.id}
                </button>
              </td>
              <td className="full data">
                <Data text={row.data} />
              </td>
              <td className="side-note">{row.processedBy ?? '–'}</td>
              <td className="num wide-only">{row.attemptsMade}</td>
              <td className="num wide-only">
                {row.startedAt && row.finishedAt ? duration(row.finishedAt - row.startedAt) : '–'}
              </td>
              <td className="num" data-l={say.columns.died}>
                {row.finishedAt && <Time at={row.finishedAt} />}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <p className="pad small quiet below-table">
        {say.of(count(rows.length), count(group.count))}
        {rows.length < group.count && shown < 1_000 && (
          <>
            {' · '}
            <button className="link plain" onClick={() => setShown(Math.min(1_000, shown === FIRST ? MORE : shown + MORE))}>
              {say.showMore}
            </button>
          </>
        )}
      </p>
    </section>
  )
}

function Data({ text }: { text: string | null | undefined }) {
  if (text == null) return <span className="quiet small">{say.notForYou}</span>
  const known = pairs(text)
  if (known === null) return <span className="mono small">{text}</span>
  return (
    <span className="mono small">
      {known.map(([name, value]) => (
        <span key={name}>
          <span className="quiet">{name}</span> {value}{' '}
        </span>
      ))}
    </span>
  )
}
