import { useState } from 'react'
import { duration } from '../format'
import { ActButton } from '../parts/ActButton'
import { Icon } from '../parts/Icon'
import { useMay } from '../api/session'
import { useLetter } from './desk'
import type { useDeskActions } from './actions'
import { EditDialog } from './EditDialog'
import { type Group, stackLines } from './groups'
import { texts } from '../texts'

const say = texts.dead

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
        <h2>{id === group.sample ? say.newestJob : say.job}</h2>
        <span className="small mono">{id}</span>
        {shown && (
          <span className="right small quiet">
            {say.attempts(shown.attemptsMade, shown.ran == null ? '' : duration(shown.ran))}
          </span>
        )}
      </div>
      {letter.isError && !shown && <p className="quiet">{letter.error.message}</p>}
      {shown && shown.attempts.length > 1 && (
        <nav className="seg attempts" aria-label={say.columns.attempts}>
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
        <div className="stack" tabIndex={0} role="region" aria-label={say.stack}>
          {stackLines(attempt?.trace || shown.reason, attempt?.frame ?? '').map((line, at) => (
            <div key={at} className={line.hot ? 'hl' : ''}>
              {line.text || ' '}
            </div>
          ))}
        </div>
      )}
      {shown?.hasData && <pre className="stack data-of-job" tabIndex={0} aria-label={say.columns.data}>{JSON.stringify(shown.data, null, 2)}</pre>}
      {shown && shown.logs.length > 0 && (
        <details className="small">
          <summary>{say.log(shown.logs.length)}</summary>
          <pre className="stack data-of-job" tabIndex={0}>{shown.logs.join('\n')}</pre>
        </details>
      )}
      {shown?.edited && <p className="note-box">{say.wasEdited}</p>}
      {shown && may && (
        <fieldset className="btn-row one-job" disabled={down}>
          <ActButton className="btn sm" onClick={() => void actions.retryJob(group.queue, id)}>
            <Icon name="retry" />
            {say.retryOne}
          </ActButton>
          {seesData && (
            <ActButton className="btn sm" onClick={() => setEditing(true)}>
              <Icon name="edit" />
              {say.editAndRetry}
            </ActButton>
          )}
          <ActButton className="btn sm danger" onClick={() => void actions.discardJob(group.queue, id)}>
            {say.discard}
          </ActButton>
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
