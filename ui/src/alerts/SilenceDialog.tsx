import { useState } from 'react'
import { ActButton } from '../parts/ActButton'
import { Dialog } from '../parts/Dialog'
import { texts } from '../texts'
import type { Alert } from './alerts'

const said = texts.alerts

const HOUR = 3_600
const SPANS: [string, number][] = [
  [said.spans.hour, HOUR],
  [said.spans.hours, 4 * HOUR],
  [said.spans.day, 24 * HOUR],
  [said.spans.week, 7 * 24 * HOUR],
]

interface Props {
  alert: Alert
  onClose: () => void
  onSilence: (seconds: number, reason: string) => Promise<void>
}

export function SilenceDialog({ alert, onClose, onSilence }: Props) {
  const [span, setSpan] = useState(0)
  const [reason, setReason] = useState('')
  const [refused, setRefused] = useState('')
  return (
    <Dialog title={said.tellNothing(alert.rule, alert.subject)} onClose={onClose}>
      <p>{said.goesOn}</p>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          onSilence(SPANS[span]![1], reason).then(onClose, (error: Error) => setRefused(error.message))
        }}
      >
        <fieldset className="choices">
          <legend className="sr">{said.howLong}</legend>
          {SPANS.map(([name], at) => (
            <label key={name}>
              <input type="radio" name="span" checked={at === span} onChange={() => setSpan(at)} /> {name}
            </label>
          ))}
        </fieldset>
        <label htmlFor="reason">{said.why}</label>
        <input id="reason" className="input" autoFocus required maxLength={500} value={reason} onChange={(event) => setReason(event.target.value)} />
        <p className="is-failed" role="alert">
          {refused}
        </p>
        <div className="btn-row">
          <button type="button" className="btn" onClick={onClose}>
            {said.cancel}
          </button>
          <ActButton className="btn primary">{said.doSilence}</ActButton>
        </div>
      </form>
    </Dialog>
  )
}
