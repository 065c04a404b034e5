import { useState } from 'react'
import { duration } from '../format'
import { Icon } from '../parts/Icon'
import { useMay } from '../api/session'
import { useLetter } from './desk'
import type { useDeskActions } from './actions'
import { EditDialog } from './EditDialog'
import { type Group, stackLines } from './groups'

interface Props {
  group: Group
  id: string
  actions: ReturnType<typeof useDeskActions>
  may: boolean
  down: boolean
}

/** One job of the group: how its attempts ended, what it was given, what can be done with it alone. */
export function Sample({ group, id, actions, may, down }: Props) {
  const letter = useLetter(group.queue, id)
  const [number, setNumber] = useState<number | null>(null)
  const [editing, setEditing] = useState(false)
  const seesData = useMay('read_payloads')
  const shown = letter.data
  const attempt = shown?.attempts.find((one) => one.number === number) ?? shown?.attempts.at(-1)
  return (
    <div className="rail-sec">
      <div className="head">
        <h2>{id === group.sample ? 'Newest job' : 'Job'}</h2>
        <span className="small mono">{id}</span>
        {shown && (
          <span className="right small quiet">
            {shown.attemptsMade === 1 ? '1 attempt' : `${shown.attemptsMade} attempts`}
            {shown.ran != null && `, ran ${duration(shown.ran)}`}
          </span>
        )}
      </div>
      {letter.isError && <p className="quiet">{letter.error.message}</p>}
      {shown && shown.attempts.length > 1 && (
        <nav className="seg attempts" aria-label="Attempts">
          {shown.attempts.map((one) => (
            <a
              key={one.number}
              href={`#attempt-${one.number}`}
              aria-current={one === attempt ? 'true' : undefined}
              onClick={(event) => {
                event.preventDefault()
                setNumber(one.number)
              }}
            >
              {one.number}
            </a>
          ))}
        </nav>
      )}
      {shown && (
        <div className="stack" tabIndex={0} role="region" aria-label="Stack">
          {stackLines(attempt?.trace || shown.reason, attempt?.frame ?? '').map((line, at) => (
            <div key={at} className={line.hot ? 'hl' : ''}>
              {line.text || ' '}
            </div>
          ))}
        </div>
      )}
      {shown?.hasData && <pre className="stack data-of-job" tabIndex={0} aria-label="Data">{JSON.stringify(shown.data, null, 2)}</pre>}
      {shown && shown.logs.length > 0 && (
        <details className="small">
          <summary>Log, {shown.logs.length === 1 ? '1 line' : `${shown.logs.length} lines`}</summary>
          <pre className="stack data-of-job" tabIndex={0}>{shown.logs.join('\n')}</pre>
        </details>
      )}
      {shown?.edited && <p className="note-box">Its data was edited; what it had is kept for 7 days.</p>}
      {shown && may && (
        <fieldset className="btn-row one-job" disabled={down}>
          <button className="btn sm" onClick={() => void actions.retryJob(group.queue, id)}>
            <Icon name="retry" />
            Retry this one
          </button>
          {seesData && (
            <button className="btn sm" onClick={() => setEditing(true)}>
              <Icon name="edit" />
              Edit and retry
            </button>
          )}
          <button className="btn sm danger" onClick={() => void actions.discardJob(group.queue, id)}>
            Discard
          </button>
        </fieldset>
      )}
      {editing && shown && (
        <EditDialog
          letter={shown}
          onClose={() => setEditing(false)}
          onSend={(data, run) => actions.edit(group.queue, id, data, run)}
        />
      )}
    </div>
  )
}
