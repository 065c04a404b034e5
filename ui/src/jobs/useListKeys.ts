import { useEffect } from 'react'

/** Keys of a list, unless somebody types or a dialog is open. A key with Shift is its capital letter. */
export function useListKeys(keys: Record<string, () => void>): void {
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement
      if (event.ctrlKey || event.metaKey || event.altKey || target.closest('input:not([type="checkbox"]), textarea, select, dialog')) return
      // Enter on a link or a button is its own.
      if (event.key === 'Enter' && target.closest('a, button, input')) return
      const run = keys[event.key]
      if (run) {
        event.preventDefault()
        run()
      }
    }
    document.addEventListener('keydown', press)
    return () => document.removeEventListener('keydown', press)
  })
}
