import { useState } from 'react'
import { ActButton } from '../parts/ActButton'
import { Dialog } from '../parts/Dialog'
import { texts } from '../texts'

interface Props {
  title: string
  label: string
  value: number
  most: number
  verb: string
  busy: boolean
  onClose: () => void
  onDone: (value: number) => void
}

export function AskNumber({ title, label, value, most, verb, busy, onClose, onDone }: Props) {
  const [text, setText] = useState(String(value))
  const number = Number(text)
  const ready = text.trim() !== '' && Number.isInteger(number) && number >= 0 && number <= most
  return (
    <Dialog title={title} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (ready) onDone(number)
        }}
      >
        <label className="above">
          {label}
          <input className="input" inputMode="numeric" autoFocus value={text} onChange={(event) => setText(event.target.value)} />
        </label>
        <div className="btn-row">
          <button type="button" className="btn" onClick={onClose}>
            {texts.job.close}
          </button>
          <ActButton className="btn primary" disabled={!ready} busy={busy}>
            {verb}
          </ActButton>
        </div>
      </form>
    </Dialog>
  )
}
