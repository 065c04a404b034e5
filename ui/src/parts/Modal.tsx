import { type ReactNode, useEffect, useId, useRef, useState } from 'react'

interface Props {
  title: string
  onClose: () => void
  children: ReactNode
  wide?: boolean
}

/** A dialog over the page: the browser keeps the focus in it, and Escape closes it. */
export function Modal({ title, onClose, children, wide = false }: Props) {
  const dialog = useRef<HTMLDialogElement>(null)
  const heading = useId()
  useEffect(() => {
    const shown = dialog.current
    shown?.showModal()
    return () => shown?.close()
  }, [])
  return (
    <dialog ref={dialog} className={wide ? 'dialog wide' : 'dialog'} aria-labelledby={heading} onClose={onClose}>
      <h3 id={heading}>{title}</h3>
      {children}
    </dialog>
  )
}

interface ConfirmProps {
  title: string
  says: string
  verb: string
  /** What has to be typed; nothing for what is less than final. */
  typed?: string
  busy: boolean
  onClose: () => void
  onConfirm: () => void
}

/** Asks before what undo cannot reach; the safe button has the focus. */
export function Confirm({ title, says, verb, typed, busy, onClose, onConfirm }: ConfirmProps) {
  const [text, setText] = useState('')
  const ready = typed === undefined || text === typed
  return (
    <Modal title={title} onClose={onClose}>
      <p>{says}</p>
      {typed !== undefined && (
        <label>
          Type <code>{typed}</code> to confirm
          <input className="input" value={text} autoComplete="off" spellCheck={false} onChange={(event) => setText(event.target.value)} />
        </label>
      )}
      <div className="btn-row">
        <button className="btn" autoFocus onClick={onClose}>
          Keep
        </button>
        <button className="btn danger solid" disabled={!ready || busy} onClick={onConfirm}>
          {verb}
        </button>
      </div>
    </Modal>
  )
}
