import { type ReactNode, useEffect, useRef } from 'react'

interface Choice {
  name: string
  danger?: boolean
  run: () => void
}

/** A button that opens a short list of choices. */
export function Drop({ label, children, choices }: { label?: string; children: ReactNode; choices: (Choice | null)[] }) {
  const box = useRef<HTMLDetailsElement>(null)
  useEffect(() => {
    const close = (event: Event) => {
      if (event instanceof KeyboardEvent ? event.key === 'Escape' : !box.current?.contains(event.target as Node)) {
        box.current?.removeAttribute('open')
      }
    }
    document.addEventListener('click', close)
    document.addEventListener('keydown', close)
    return () => {
      document.removeEventListener('click', close)
      document.removeEventListener('keydown', close)
    }
  }, [])
  return (
    <details className="drop" ref={box}>
      <summary className="btn" title={label} aria-label={label}>
        {children}
      </summary>
      <ul className="menu">
        {choices.map((choice, at) =>
          choice === null ? (
            <li key={at} role="separator" className="line" />
          ) : (
            <li key={choice.name}>
              <button
                className={choice.danger ? 'is-failed' : ''}
                onClick={() => {
                  box.current?.removeAttribute('open')
                  choice.run()
                }}
              >
                {choice.name}
              </button>
            </li>
          ),
        )}
      </ul>
    </details>
  )
}
