import { Link } from '@tanstack/react-router'
import { clock, exact } from '../format'
import { called } from '../overview/providers'
import { Glyph } from '../parts/Icon'
import { type Choice, Menu } from '../parts/Menu'
import type { RowMarks } from '../shell/useCursor'
import { texts } from '../texts'
import type { JobRow } from './api'
import { type Columns, factsOf, percentOf, times } from './columns'

interface Props {
  queue: string
  job: JobRow
  state: string
  columns: Columns
  /** The time by which ages count. */
  at: number
  index: number
  picked: boolean
  marks: RowMarks
  left: boolean
  choices: Choice[]
  measure: (row: HTMLTableRowElement | null) => void
  onPick: (range: boolean) => void
}

/** A job in a list. */
export function ListRow({ queue, job, state, columns, at, index, picked, marks, left, choices, measure, onPick }: Props) {
  const [when, lasts] = times(job, state, at)
  const t = texts.joblist
  return (
    <tr
      {...marks}
      ref={measure}
      data-index={index}
      className={`${picked ? 'sel' : ''} ${left ? 'leaving' : ''}`}
      aria-selected={picked}
      title={left ? t.gone : undefined}
    >
      <td className="pick">
        <input
          className="check"
          type="checkbox"
          aria-label={t.select(job.id)}
          checked={picked}
          onChange={() => undefined}
          onClick={(event) => onPick(event.shiftKey)}
        />
      </td>
      <td data-l={t.columns.id} className="ellipsis c-id">
        <Link className="mono" to="/queues/$queue/jobs/$id" params={{ queue, id: job.id }} title={job.id}>
          {job.id}
        </Link>
      </td>
      <td className="ellipsis c-name" title={job.name}>
        {job.name}
      </td>
      <td className="full ellipsis c-main">
        {job.held && (
          <span className="is-failed small held-by">
            <Glyph name="held" /> {t.heldBy(called(job.held))}
          </span>
        )}
        {columns.main === 'error' ? <Reason job={job} /> : <Preview job={job} />}
        {factsOf(job, columns).map((fact) => (
          <span key={fact} className="fact">
            {fact}
          </span>
        ))}
      </td>
      {columns.extra.map((extra) => (
        <Extra key={extra} name={extra} job={job} />
      ))}
      <td className="num col-wide c-when">
        {when == null ? (
          '–'
        ) : (
          <time className="mono small" dateTime={exact(when)} title={exact(when)}>
            {clock(when)}
          </time>
        )}
      </td>
      <td className="num c-age" data-l={columns.lasts}>
        {lasts}
      </td>
      <td className="c-menu">
        <Menu label={t.actionsOf(job.id)} choices={choices} />
      </td>
    </tr>
  )
}

function Extra({ name, job }: { name: Columns['extra'][number]; job: JobRow }) {
  const t = texts.joblist.columns
  switch (name) {
    case 'priority':
      return <td className="num col-wide c-prio">{job.priority || <span className="zero">–</span>}</td>
    case 'attempts':
      return (
        <td className="num c-att" data-l={t.attempts}>
          {job.attemptsMade || <span className="zero">0</span>}
          <span className="quiet"> / {job.attempts}</span>
        </td>
      )
    case 'worker':
      return (
        <td className="ellipsis c-worker" data-l={t.worker} title={job.processedBy ?? undefined}>
          {job.processedBy ?? '–'}
        </td>
      )
    case 'progress':
      return (
        <td className="num c-prog" data-l={t.progress}>
          {percentOf(job.progress)}
        </td>
      )
  }
}

function Preview({ job }: { job: JobRow }) {
  if (!job.preview) {
    return (
      <span className="redacted">
        <Glyph name="lock" />
        <span>{texts.joblist.redacted}</span>
      </span>
    )
  }
  return (
    <span className="mono small">
      {job.preview.map((field) => (
        <span key={field.name} className="pair">
          {field.name && <span className="quiet">{field.name}</span>} {field.value}{' '}
        </span>
      ))}
    </span>
  )
}

function Reason({ job }: { job: JobRow }) {
  return (
    <span className="small" title={job.failedReason ?? undefined}>
      <b className="is-failed strong">{job.errorType.split('.').at(-1)}</b> {job.failedReason ?? ''}
    </span>
  )
}
