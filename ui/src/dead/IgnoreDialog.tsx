import { useState } from 'react'
import { Dialog } from '../parts/Dialog'
import type { Ignore } from './actions'

interface Props {
  title: string
  now: number
  onClose: () => void
  onIgnore: (ignore: Ignore) => void
}

const HOUR = 3_600
const SPANS: [string, number | null][] = [
  ['For 1 hour', HOUR],
  ['For 12 hours', 12 * HOUR],
  ['For 7 days', 7 * 24 * HOUR],
  ['Until somebody opens it', null],
]

/** Until when, or for how many more failures, a group is not shown as open. */
export function IgnoreDialog({ title, now, onClose, onIgnore }: Props) {
  const [span, setSpan] = useState(1)
  const [failures, setFailures] = useState('')
  function ignore() {
    const seconds = SPANS[span]![1]
    const most = Number(failures)
    onIgnore({ until: seconds === null ? undefined : now + seconds, failures: most >= 1 ? Math.floor(most) : undefined })
    onClose()
  }
  return (
    <Dialog title={title} onClose={onClose}>
      <p>New failures are counted, but the group is not among the open ones.</p>
      <fieldset className="choices">
        <legend className="sr">Until when</legend>
        {SPANS.map(([name], at) => (
          <label key={name}>
            <input type="radio" name="span" checked={at === span} onChange={() => setSpan(at)} /> {name}
          </label>
        ))}
      </fieldset>
      <label htmlFor="failures">Or until so many more have failed, if that is sooner</label>
      <input
        id="failures"
        className="input"
        type="number"
        min="1"
        step="1"
        placeholder="any number"
        value={failures}
        onChange={(event) => setFailures(event.target.value)}
      />
      <div className="btn-row">
        <button className="btn" onClick={onClose}>
          Cancel
        </button>
        <button className="btn primary" onClick={ignore}>
          Ignore
        </button>
      </div>
    </Dialog>
  )
}
