import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { count } from '../format'
import { useEvery } from '../parts/useEvery'
import { readLogs } from './api'
import { logLine, pieces } from './logLines'
import { Redacted } from './DataTree'

/** Rows that are shown: the newest. */
const ROWS = 1_000

export function Logs({ queue, id, running }: { queue: string; id: string; running: boolean }) {
  const [wanted, setWanted] = useState('')
  const logs = useQuery({
    queryKey: ['logs', queue, id],
    queryFn: () => readLogs(queue, id, -ROWS),
    refetchInterval: useEvery(running ? 2_000 : 10_000),
  })
  const page = logs.data
  const lines = (page?.rows ?? []).map((row, n) => ({ number: page!.start + n + 1, ...logLine(row) }))
  const found = wanted ? lines.filter((line) => line.text.toLowerCase().includes(wanted.toLowerCase())) : lines
  return (
    <section className="joblogs">
      <div className="pad head">
        <h2>Logs</h2>
        <span className="small quiet">
          {page ? `${count(page.total)} ${page.total === 1 ? 'line' : 'lines'}` : ''}
          {page && page.start > 0 && `, the last ${count(page.rows.length)} of them`}
          {wanted && ` · ${count(found.length)} match`}
        </span>
        <div className="right">
          {lines.length > 0 && (
            <input className="input small-input" type="search" placeholder="Search the log" aria-label="Search the log" value={wanted} onChange={(event) => setWanted(event.target.value)} />
          )}
          {running && (
            <span className="live">
              <i />
              Following
            </span>
          )}
        </div>
      </div>
      {page?.redacted && page.total > 0 ? (
        <div className="pad">
          <Redacted says="Logs may hold what is in the data, so they need the right to see payloads." />
        </div>
      ) : lines.length === 0 ? (
        <p className="pad quiet">{page ? 'It has logged nothing.' : ' '}</p>
      ) : (
        <ol className={lines.some((line) => line.time || line.level) ? 'logs' : 'logs plain'}>
          {found.map((line) => (
            <li key={line.number} className={line.level}>
              <time>{line.time || <span className="quiet">{line.number}</span>}</time>
              <span className="at" />
              <span className="lv">{line.level}</span>
              <p>{pieces(line.text, wanted).map((piece, n) => (n % 2 ? <mark key={n}>{piece}</mark> : piece))}</p>
            </li>
          ))}
        </ol>
      )}
    </section>
  )
}
