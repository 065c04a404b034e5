import { createContext, type ReactNode, useCallback, useContext, useEffect, useState } from 'react'
import { Glyph } from './Icon'

interface Message {
  text: string
  failed?: boolean
  /** Offered for as long as the message is on screen. */
  undo?: () => void
}

const Tell = createContext<(message: Message) => void>(() => undefined)

const SHOWN_MS = 10_000

/** One message at a time at the foot of the page: what was done, and a way back. */
export function Told({ children }: { children: ReactNode }) {
  const [message, setMessage] = useState<(Message & { at: number }) | null>(null)
  const tell = useCallback((next: Message) => setMessage({ ...next, at: Date.now() }), [])
  useEffect(() => {
    if (message === null) return
    const timer = setTimeout(() => setMessage(null), SHOWN_MS)
    return () => clearTimeout(timer)
  }, [message])
  return (
    <Tell value={tell}>
      {children}
      <div role="status" aria-live="polite">
        {message && (
          <div className="toast" key={message.at}>
            <Glyph name={message.failed ? 'failed' : 'completed'} />
            <span>{message.text}</span>
            {message.undo && (
              <button
                className="btn sm"
                onClick={() => {
                  setMessage(null)
                  message.undo?.()
                }}
              >
                Undo
              </button>
            )}
            <button className="btn sm" onClick={() => setMessage(null)} aria-label="Close this message">
              Close
            </button>
          </div>
        )}
      </div>
    </Tell>
  )
}

export function useTell() {
  return useContext(Tell)
}
