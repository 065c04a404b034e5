import { useRouterState } from '@tanstack/react-router'
import { useEffect, useRef } from 'react'
import { titleOf } from './places'

/** On another page: its name in the browser's tab, and the focus at its heading, so that reading begins there. */
export function useArrival(): void {
  const pathname = useRouterState({ select: (state) => state.resolvedLocation?.pathname ?? state.location.pathname })
  const before = useRef<string | null>(null)
  useEffect(() => {
    document.title = titleOf(pathname)
    const from = before.current
    before.current = pathname
    if (from === null || from === pathname) return
    const frame = requestAnimationFrame(() => {
      const heading = document.querySelector<HTMLElement>('main h1') ?? document.querySelector<HTMLElement>('main')
      if (!heading || document.querySelector('dialog[open]')) return
      heading.tabIndex = -1
      heading.focus({ preventScroll: true })
    })
    return () => cancelAnimationFrame(frame)
  }, [pathname])
}
