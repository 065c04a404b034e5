import { useSyncExternalStore } from 'react'
import { Icon } from './Icon'

interface Toast {
  text: string
  undo?: () => void
}

const SECONDS = 10

let current: Toast | null = null
let timer = 0
const listeners = new Set<() => void>()

/** Says what was done, or was not, for ten seconds; one at a time. `undo` takes it back. */
export function say(text: string, undo?: () => void): void {
  show({ text, undo })
  timer = window.setTimeout(() => show(null), SECONDS * 1000)
}

function show(toast: Toast | null) {
  window.clearTimeout(timer)
  current = toast
  listeners.forEach((listener) => listener())
}

function subscribe(listener: () => void) {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

/** Where toasts appear; once on the page. */
export function Toasts() {
  const toast = useSyncExternalStore(subscribe, () => current)
  return (
    <div role="status" aria-live="polite">
      {toast && (
        <div className="toast">
          <span>{toast.text}</span>
          {toast.undo && (
            <button
              className="btn sm"
              onClick={() => {
                toast.undo!()
                show(null)
              }}
            >
              Undo
            </button>
          )}
          <button className="icon-btn inherit" title="Close" onClick={() => show(null)}>
            <Icon name="close" />
          </button>
        </div>
      )}
    </div>
  )
}
