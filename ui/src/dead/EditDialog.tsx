import { useState } from 'react'
import { Dialog } from '../parts/Dialog'
import { type Letter, readJson } from './groups'

interface Props {
  letter: Letter
  onClose: () => void
  onSend: (data: unknown, run: boolean) => Promise<void>
}

/** Other data for one dead letter; what is wrong with it is said before it is sent, and by the server. */
export function EditDialog({ letter, onClose, onSend }: Props) {
  const [text, setText] = useState(() => JSON.stringify(letter.data, null, 2))
  const [refused, setRefused] = useState('')
  const [sending, setSending] = useState(false)
  const read = readJson(text)
  const wrong = 'error' in read ? read.error : refused
  async function send(run: boolean) {
    if ('error' in read) return
    setSending(true)
    try {
      await onSend(read.value, run)
      onClose()
    } catch (error) {
      setRefused((error as Error).message)
      setSending(false)
    }
  }
  return (
    <Dialog title={`Edit ${letter.name}, job ${letter.id}`} onClose={onClose} wide>
      <p>What it has now is kept for 7 days.</p>
      <label htmlFor="edited">Data, as JSON</label>
      <textarea
        id="edited"
        className="editor"
        rows={14}
        spellCheck={false}
        autoFocus
        value={text}
        aria-invalid={wrong !== ''}
        aria-describedby="wrong"
        onChange={(event) => {
          setText(event.target.value)
          setRefused('')
        }}
      />
      <p id="wrong" className="is-failed" role="alert">
        {wrong}
      </p>
      <div className="btn-row">
        <button className="btn" onClick={onClose}>
          Cancel
        </button>
        <button className="btn" disabled={'error' in read || sending} onClick={() => void send(false)}>
          Only save
        </button>
        <button className="btn primary" disabled={'error' in read || sending} onClick={() => void send(true)}>
          Save and retry
        </button>
      </div>
    </Dialog>
  )
}
