// One toast at a time, for ten seconds: what was done, and how to take it back.
import { useSyncExternalStore } from 'react'
import { texts } from '../texts'

export interface Toast {
  says: string
  detail?: string
  failed?: boolean
  /** Takes it back; what it says then replaces the toast. */
  undo?: () => Promise<string>
}

const SHOWN_MS = 10_000

let current: Toast | null = null
let timer: ReturnType<typeof setTimeout> | undefined
const listeners = new Set<() => void>()

export function toast(next: Toast | null): void {
  current = next
  clearTimeout(timer)
  if (next) timer = setTimeout(() => toast(null), SHOWN_MS)
  for (const listener of listeners) listener()
}

/** Keep it while somebody points at it, and give it its time anew when they leave. */
export function holdToast(held: boolean): void {
  clearTimeout(timer)
  if (!held && current) timer = setTimeout(() => toast(null), SHOWN_MS)
}

export function failed(what: string, error: unknown): void {
  toast({ says: what, detail: error instanceof Error ? error.message : String(error), failed: true })
}

export async function undoNow(): Promise<void> {
  const undone = current?.undo
  if (!undone) return
  toast({ says: texts.parts.bringingBack })
  try {
    toast({ says: await undone() })
  } catch (error) {
    failed(texts.parts.notBroughtBack, error)
  }
}

export function useToast(): Toast | null {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => current,
  )
}

/** Says what was done, or was not; `undo` takes it back. */
export function say(says: string, undo?: () => unknown): void {
  toast(
    undo
      ? {
          says,
          undo: async () => {
            await undo()
            return texts.parts.takenBack
          },
        }
      : { says },
  )
}
