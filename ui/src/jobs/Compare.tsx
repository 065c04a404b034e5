import { useState } from 'react'
import { clock, precise } from '../format'
import { Dialog } from '../parts/Dialog'
import { texts } from '../texts'
import type { JobView, Moments, JobRun } from './api'
import { compare, editBetween, traceDiff } from './compare'

const says = texts.job

/** Two runs side by side: at first the last two. */
export function Compare({ job, changes, onClose }: { job: JobView; changes: Moments['changes']; onClose: () => void }) {
  const { runs } = job
  const [older, setOlder] = useState(runs.length - 2)
  const [newer, setNewer] = useState(runs.length - 1)
  const [a, b] = [runs[older]!, runs[newer]!]
  const edit = editBetween(a, b, changes)
  return (
    <Dialog title={says.compareTitle} onClose={onClose} wide>
      <div className="sideways" tabIndex={0} role="region" aria-label={says.compareTitle}>
        <table className="table compare">
          <thead>
            <tr>
              <th />
              <th scope="col">
                <Choose label={says.older} runs={runs} value={older} onChange={setOlder} />
              </th>
              <th scope="col">
                <Choose label={says.newer} runs={runs} value={newer} onChange={setNewer} />
              </th>
              <th scope="col" />
            </tr>
          </thead>
          <tbody>
            {compare(a, b, precise).map((row) => (
              <tr key={row.name}>
                <th scope="row">{row.name}</th>
                <td>{row.older}</td>
                <td>{row.newer}</td>
                <td className={row.differs ? 'strong small' : 'quiet small'}>{row.differs ? says.differs : row.older === row.newer ? says.same : ''}</td>
              </tr>
            ))}
            <tr>
              <th scope="row">{says.rows.data}</th>
              <td colSpan={3}>{edit ? says.dataEdited(clock(edit.at), edit.actor.replace(/^(user|key|cli):/, '')) : says.dataSame}</td>
            </tr>
          </tbody>
        </table>
      </div>
      <Traces a={a} b={b} />
      <div className="btn-row above">
        <button className="btn" onClick={onClose}>
          {says.close}
        </button>
      </div>
    </Dialog>
  )
}

function Traces({ a, b }: { a: JobRun; b: JobRun }) {
  if (!a.trace || !b.trace) return <p className="small quiet above">{says.noTrace}</p>
  const lines = traceDiff(a.trace, b.trace)
  if (lines.every((line) => line.sign === ' ')) return <p className="small quiet above">{says.sameTrace}</p>
  return (
    <div className="stack diff" tabIndex={0} role="region" aria-label={says.rows.trace}>
      {lines.map((line, n) => (
        <div key={n} className={line.sign === '-' ? 'minus' : line.sign === '+' ? 'plus' : ''}>
          <span className="ln">{line.sign}</span>
          {line.text}
        </div>
      ))}
    </div>
  )
}

function Choose({ label, runs, value, onChange }: { label: string; runs: JobRun[]; value: number; onChange: (n: number) => void }) {
  return (
    <select className="input" aria-label={label} value={value} onChange={(event) => onChange(Number(event.target.value))}>
      {runs.map((run, n) => (
        <option key={n} value={n}>
          {says.titles.attempt(run.number)}
        </option>
      ))}
    </select>
  )
}
