import { useState } from 'react'
import { count } from '../format'
import { ActButton } from '../parts/ActButton'
import { Dialog } from '../parts/Dialog'
import { texts } from '../texts'

const said = texts.dead

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
    <Dialog title={said.discardTitle(count(jobs))} onClose={onClose}>
      <p>
        {said.binHas(count(jobs - final), count(final))}
      </p>
      <label htmlFor="queue-name">
        {said.typeBefore} <code>{queue}</code> {said.typeAfter}
      </label>
      <input id="queue-name" className="input" autoComplete="off" value={typed} onChange={(event) => setTyped(event.target.value)} />
      <div className="btn-row">
        <button className="btn" autoFocus onClick={onClose}>
          {said.keep}
        </button>
        <ActButton
          className="btn danger solid"
          disabled={typed !== queue}
          onClick={() => {
            onDiscard()
            onClose()
          }}
        >
          {said.discardMany(count(jobs))}
        </ActButton>
      </div>
    </Dialog>
  )
}
