import { useState } from 'react'
import { Dialog } from '../parts/Dialog'
import type { Alert } from './alerts'

const HOUR = 3_600
const SPANS: [string, number][] = [
  ['1 hour', HOUR],
  ['4 hours', 4 * HOUR],
  ['1 day', 24 * HOUR],
  ['7 days', 7 * 24 * HOUR],
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
    <Dialog title={`Tell nothing of ${alert.rule} of ${alert.subject}`} onClose={onClose}>
      <p>The rule goes on being judged, and the history has what it finds.</p>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          onSilence(SPANS[span]![1], reason).then(onClose, (error: Error) => setRefused(error.message))
        }}
      >
        <fieldset className="choices">
          <legend className="sr">For how long</legend>
          {SPANS.map(([name], at) => (
            <label key={name}>
              <input type="radio" name="span" checked={at === span} onChange={() => setSpan(at)} /> {name}
            </label>
          ))}
        </fieldset>
        <label htmlFor="reason">Why, for those who see it</label>
        <input id="reason" className="input" autoFocus required maxLength={500} value={reason} onChange={(event) => setReason(event.target.value)} />
        <p className="is-failed" role="alert">
          {refused}
        </p>
        <div className="btn-row">
          <button type="button" className="btn" onClick={onClose}>
            Cancel
          </button>
          <button className="btn primary">Silence</button>
        </div>
      </form>
    </Dialog>
  )
}
