// Whether Redis is away, as what the page asks tells it: one sign for everything that could be done on the page.
import type { Query, QueryCache } from '@tanstack/react-query'
import { useSyncExternalStore } from 'react'
import { isAway } from './client'

let away = false
const watchers = new Set<() => void>()

/** Something that is shown was refused for it, and no later answer has come. */
export function saysAway(queries: readonly Pick<Query, 'isActive' | 'state'>[]): boolean {
  return queries.some((query) => query.isActive() && query.state.status === 'error' && isAway(query.state.error))
}

/** Watches until the returned function is called; once, in the shell. */
export function watchAway(cache: QueryCache): () => void {
  const look = () => {
    const now = saysAway(cache.getAll())
    if (now === away) return
    away = now
    for (const watcher of watchers) watcher()
  }
  look()
  return cache.subscribe(look)
}

export function readAway(): boolean {
  return away
}

/** True while Redis does not answer: nothing can be done to it from here. */
export function useAway(): boolean {
  return useSyncExternalStore(
    (watcher) => {
      watchers.add(watcher)
      return () => watchers.delete(watcher)
    },
    readAway,
  )
}
