import { useState } from 'react'
import { ActButton } from '../parts/ActButton'
import { Dialog } from '../parts/Dialog'
import { texts } from '../texts'
import type { Alert } from './alerts'

const said = texts.alerts

interface Props {
  alert: Alert
  onClose: () => void
  onAcknowledge: (note: string) => Promise<void>
}

/** Takes an alert in hand, with a note if there is something to say. */
export function AcknowledgeDialog({ alert, onClose, onAcknowledge }: Props) {
  const [note, setNote] = useState('')
  const [refused, setRefused] = useState('')
  return (
    <Dialog title={said.acknowledgeTitle(alert.rule, alert.subject)} onClose={onClose}>
      <p>{said.remindsNobody}</p>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          onAcknowledge(note).then(onClose, (error: Error) => setRefused(error.message))
        }}
      >
        <label htmlFor="note">{said.note}</label>
        <input id="note" className="input" autoFocus maxLength={500} value={note} onChange={(event) => setNote(event.target.value)} />
        <p className="is-failed" role="alert">
          {refused}
        </p>
        <div className="btn-row">
          <button type="button" className="btn" onClick={onClose}>
            {said.cancel}
          </button>
          <ActButton className="btn primary">{said.acknowledge}</ActButton>
        </div>
      </form>
    </Dialog>
  )
}
