import { type ReactNode, useEffect, useRef } from 'react'

/** A dialog of the browser's own: it traps the focus, and Escape closes it. */
export function Modal({ label, onClose, children }: { label: string; onClose: () => void; children: ReactNode }) {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    const shown = dialog.current
    shown?.showModal()
    return () => shown?.close()
  }, [])
  return (
    <dialog
      ref={dialog}
      className="dialog modal"
      aria-label={label}
      onCancel={(event) => {
        event.preventDefault()
        onClose()
      }}
      onClick={(event) => event.target === dialog.current && onClose()}
    >
      <div className="modal-body">{children}</div>
    </dialog>
  )
}

interface Question {
  title: string
  text: string
  /** What the button that does it says. */
  yes: string
  no?: string
  onYes: () => void
  onClose: () => void
}

/** Asks before what undo cannot reach; the safe button has the focus. */
export function Ask({ title, text, yes, no = 'Keep it', onYes, onClose }: Question) {
  return (
    <Modal label={title} onClose={onClose}>
      <h3>{title}</h3>
      <p>{text}</p>
      <div className="btn-row">
        <button className="btn" autoFocus onClick={onClose}>
          {no}
        </button>
        <button
          className="btn danger solid"
          onClick={() => {
            onClose()
            onYes()
          }}
        >
          {yes}
        </button>
      </div>
    </Modal>
  )
}
