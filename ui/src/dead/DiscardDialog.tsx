import { useState } from 'react'
import { count } from '../format'
import { Dialog } from '../parts/Dialog'

interface Props {
  jobs: number
  /** How many of them the bin has no room for. */
  final: number
  queue: string
  onClose: () => void
  onDiscard: () => void
}

/** Asked only where the bin is too small to take everything back: then undo cannot reach all. */
export function DiscardDialog({ jobs, final, queue, onClose, onDiscard }: Props) {
  const [typed, setTyped] = useState('')
  return (
    <Dialog title={`Discard ${count(jobs)} dead letters`} onClose={onClose}>
      <p>
        The bin has room for {count(jobs - final)} of them. {count(final)} would be gone for good.
      </p>
      <label htmlFor="queue-name">
        Type <code>{queue}</code> to discard them
      </label>
      <input id="queue-name" className="input" autoComplete="off" value={typed} onChange={(event) => setTyped(event.target.value)} />
      <div className="btn-row">
        <button className="btn" autoFocus onClick={onClose}>
          Keep them
        </button>
        <button
          className="btn danger solid"
          disabled={typed !== queue}
          onClick={() => {
            onDiscard()
            onClose()
          }}
        >
          Discard {count(jobs)}
        </button>
      </div>
    </Dialog>
  )
}
