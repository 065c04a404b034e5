import { type ReactNode, useEffect, useId, useLayoutEffect, useRef, useState } from 'react'
import { texts } from '../texts'
import { ActButton } from './ActButton'

interface Props {
  title: string
  onClose: () => void
  children: ReactNode
  wide?: boolean
  /** A look of its own, which has no heading to see: the palette. */
  look?: 'palette' | 'keys' | 'more'
}

/** A dialog over the page: the browser keeps the focus in it; Escape and a click beside it close it. */
export function Dialog({ title, onClose, children, wide = false, look }: Props) {
  const dialog = useRef<HTMLDialogElement>(null)
  const heading = useId()
  // Closed while it is still in the page: only then does the browser give the focus back.
  useLayoutEffect(() => {
    const shown = dialog.current
    shown?.showModal()
    // What has the focus may stand below the end of a low window: it begins at its heading all the same.
    shown?.scrollTo(0, 0)
    return () => shown?.close()
  }, [])
  return (
    <dialog
      ref={dialog}
      className={['modal dialog', wide && 'wide', look].filter(Boolean).join(' ')}
      aria-labelledby={heading}
      onCancel={(event) => {
        event.preventDefault()
        onClose()
      }}
      onClick={(event) => event.target === dialog.current && onClose()}
    >
      <div className="modal-body">
        <h2 id={heading} className={look === 'palette' ? 'sr' : undefined}>{title}</h2>
        {children}
      </div>
    </dialog>
  )
}

/** For the button that changes nothing: it has the focus, whatever stands before it in the dialog. */
export function useSafeFocus() {
  const button = useRef<HTMLButtonElement>(null)
  useEffect(() => button.current?.focus(), [])
  return button
}

interface Question {
  title: string
  says: string
  /** What the button that does it says. */
  verb: string
  keep?: string
  /** What has to be typed; nothing for what is less than final. */
  typed?: string
  busy?: boolean
  onClose: () => void
  onConfirm: () => void
}

/** Asks before what undo cannot reach; the safe button has the focus. */
export function Confirm({ title, says, verb, keep = texts.parts.keep, typed, busy = false, onClose, onConfirm }: Question) {
  const [text, setText] = useState('')
  const safe = useSafeFocus()
  const ready = typed === undefined || text === typed
  return (
    <Dialog title={title} onClose={onClose}>
      <p>{says}</p>
      {typed !== undefined && (
        <label>
          {texts.parts.typeBefore} <code>{typed}</code> {texts.parts.typeAfter}
          <input className="input" value={text} autoComplete="off" spellCheck={false} onChange={(event) => setText(event.target.value)} />
        </label>
      )}
      <div className="btn-row">
        <button className="btn" ref={safe} onClick={onClose}>
          {keep}
        </button>
        <ActButton className="btn danger solid" disabled={!ready} busy={busy} onClick={onConfirm}>
          {verb}
        </ActButton>
      </div>
    </Dialog>
  )
}
