// What the shell lays over a page: one at a time.
import { useSyncExternalStore } from 'react'

export type Overlay = { kind: 'palette' } | { kind: 'keys' } | { kind: 'more' } | { kind: 'add'; queue: string }

let current: Overlay | null = null
const listeners = new Set<() => void>()

export function lay(next: Overlay | null): void {
  current = next
  for (const listener of listeners) listener()
}

export function useOverlay(): Overlay | null {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => current,
  )
}
