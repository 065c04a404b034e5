import { useState } from 'react'
import { count, duration } from '../format'
import { Time } from '../parts/Time'
import { useJobs } from './desk'
import { type Group, pairs } from './groups'

const FIRST = 8
const MORE = 200

/** The jobs of the chosen group, the newest first; a click shows one beside it. */
export function Jobs({ group, job, onJob }: { group: Group; job: string; onJob: (id: string) => void }) {
  const [shown, setShown] = useState(FIRST)
  const jobs = useJobs(group, shown)
  const rows = jobs.data?.jobs ?? []
  return (
    <section aria-label="Jobs in this group">
      <div className="pad head">
        <h2>Jobs in this group</h2>
        <span className="small quiet">{count(group.count)}, newest first</span>
      </div>
      {jobs.isError && <p className="pad is-failed">{jobs.error.message}</p>}
      <table className="table list rows">
        <thead>
          <tr>
            <th>Id</th>
            <th>Data</th>
            <th>Worker</th>
            <th className="num">Attempts</th>
            <th className="num">Ran</th>
            <th className="num">Died</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.id} className={row.id === job ? 'sel' : ''} onClick={() => onJob(row.id)}>
              <td data-l="Id">
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
              <td className="num" data-l="Died">
                {row.finishedAt && <Time at={row.finishedAt} />}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <p className="pad small quiet below-table">
        {count(rows.length)} of {count(group.count)}
        {rows.length < group.count && shown < 1_000 && (
          <>
            {' · '}
            <button className="link plain" onClick={() => setShown(Math.min(1_000, shown === FIRST ? MORE : shown + MORE))}>
              show more
            </button>
          </>
        )}
      </p>
    </section>
  )
}

function Data({ text }: { text: string | null | undefined }) {
  if (text == null) return <span className="quiet small">not shown to your role</span>
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
