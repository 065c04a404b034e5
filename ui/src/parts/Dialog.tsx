import { type ReactNode, useEffect, useId, useRef } from 'react'

interface Props {
  title: string
  onClose: () => void
  children: ReactNode
  wide?: boolean
}

/** A modal dialog: the browser keeps the focus within and closes it with Esc. */
export function Dialog({ title, onClose, children, wide = false }: Props) {
  const ref = useRef<HTMLDialogElement>(null)
  const id = useId()
  useEffect(() => ref.current?.showModal(), [])
  return (
    <dialog ref={ref} className={wide ? 'modal dialog wide' : 'modal dialog'} aria-labelledby={id} onClose={onClose}>
      <h3 id={id}>{title}</h3>
      {children}
    </dialog>
  )
}
