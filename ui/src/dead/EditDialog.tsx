import { useState } from 'react'
import { ActButton } from '../parts/ActButton'
import { Dialog } from '../parts/Dialog'
import { texts } from '../texts'
import { type Letter, readJson } from './groups'

const said = texts.dead

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
    <Dialog title={said.editTitle(letter.name, letter.id)} onClose={onClose} wide>
      <p>{said.editSays}</p>
      <label htmlFor="edited">{said.dataAsJson}</label>
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
          {said.cancel}
        </button>
        <ActButton className="btn" disabled={'error' in read} busy={sending} onClick={() => void send(false)}>
          {said.onlySave}
        </ActButton>
        <ActButton className="btn primary" disabled={'error' in read} busy={sending} onClick={() => void send(true)}>
          {said.saveAndRetry}
        </ActButton>
      </div>
    </Dialog>
  )
}
