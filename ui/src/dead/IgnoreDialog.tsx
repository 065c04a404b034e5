import { useState } from 'react'
import { ActButton } from '../parts/ActButton'
import { Dialog } from '../parts/Dialog'
import { texts } from '../texts'
import type { Ignore } from './actions'

interface Props {
  title: string
  now: number
  onClose: () => void
  onIgnore: (ignore: Ignore) => void
}

const said = texts.dead

const HOUR = 3_600
const SPANS: [string, number | null][] = [
  [said.spans.hour, HOUR],
  [said.spans.half, 12 * HOUR],
  [said.spans.week, 7 * 24 * HOUR],
  [said.spans.opened, null],
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
      <p>{said.ignoreSays}</p>
      <fieldset className="choices">
        <legend className="sr">{said.untilWhen}</legend>
        {SPANS.map(([name], at) => (
          <label key={name}>
            <input type="radio" name="span" checked={at === span} onChange={() => setSpan(at)} /> {name}
          </label>
        ))}
      </fieldset>
      <label htmlFor="failures">{said.orFailures}</label>
      <input
        id="failures"
        className="input"
        type="number"
        min="1"
        step="1"
        placeholder={said.anyNumber}
        value={failures}
        onChange={(event) => setFailures(event.target.value)}
      />
      <div className="btn-row">
        <button className="btn" onClick={onClose}>
          {said.cancel}
        </button>
        <ActButton className="btn primary" onClick={ignore}>
          {said.ignore}
        </ActButton>
      </div>
    </Dialog>
  )
}
