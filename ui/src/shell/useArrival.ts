import { useRouterState } from '@tanstack/react-router'
import { useEffect, useRef } from 'react'
import { titleOf } from './places'

/** A heading that comes later is not waited for. */
const WAITS_MS = 5_000

/** On another page: its name in the browser's tab, and the focus at its heading, so that reading begins there. */
export function useArrival(): void {
  const pathname = useRouterState({ select: (state) => state.resolvedLocation?.pathname ?? state.location.pathname })
  const before = useRef<string | null>(null)
  useEffect(() => {
    document.title = titleOf(pathname)
    const from = before.current
    before.current = pathname
    if (from === null || from === pathname) return
    document.querySelector<HTMLElement>('main')?.focus({ preventScroll: true })
    // Some pages have their heading with their data; who has moved on meanwhile is left alone.
    const until = performance.now() + WAITS_MS
    let frame = 0
    const look = () => {
      if (!document.activeElement?.matches('body, main')) return
      const heading = document.querySelector<HTMLElement>('main h1')
      if (heading) {
        heading.tabIndex = -1
        heading.focus({ preventScroll: true })
      } else if (performance.now() < until) frame = requestAnimationFrame(look)
    }
    frame = requestAnimationFrame(look)
    return () => cancelAnimationFrame(frame)
  }, [pathname])
}
