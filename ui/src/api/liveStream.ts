// The page's one live stream: opened while somebody looks at the page, closed while nobody does.
import type { Query, QueryClient } from '@tanstack/react-query'
import { readSession } from './client'
import { APART_MS, backOff, type Hearing, touches } from './live'

let hearing: Hearing = 'off'
const watchers = new Set<() => void>()

export function readHearing(): Hearing {
  return hearing
}

export function watchHearing(watcher: () => void): () => void {
  watchers.add(watcher)
  return () => watchers.delete(watcher)
}

function hear(now: Hearing) {
  if (now === hearing) return
  hearing = now
  for (const watcher of watchers) watcher()
}

/** A query that says so with `meta: { still: true }` is read when it no longer does: its rows are under a pointer. */
const isStill = (query: Query) => query.meta?.['still'] === true

/** Listens until the returned function is called. job: `queue/id` of the one that is shown. */
export function listen(queries: QueryClient, job: string | null): () => void {
  let source: EventSource | null = null
  let failures = 0
  let retry: ReturnType<typeof setTimeout> | undefined
  const due = new Map<string, Query>()
  let reading: ReturnType<typeof setTimeout> | undefined
  let readAt = 0

  const read = () => {
    reading = undefined
    readAt = Date.now()
    for (const [hash, query] of due) {
      if (isStill(query)) continue
      due.delete(hash)
      void queries.invalidateQueries({ queryKey: query.queryKey, exact: true }, { cancelRefetch: false })
    }
    if (due.size > 0) reading = setTimeout(read, APART_MS)
  }
  const changed = (isTouched: (query: Query) => boolean) => {
    for (const query of queries.getQueryCache().findAll({ type: 'active' })) if (isTouched(query)) due.set(query.queryHash, query)
    if (due.size > 0) reading ??= setTimeout(read, Math.max(0, readAt + APART_MS - Date.now()))
  }
  const all = () => changed((query) => query.queryKey[0] !== 'session')

  const close = () => {
    clearTimeout(retry)
    source?.close()
    source = null
  }
  const open = () => {
    close()
    const opened = (source = new EventSource(job ? `/api/v1/live?job=${encodeURIComponent(job)}` : '/api/v1/live'))
    opened.addEventListener('hello', () => {
      failures = 0
      hear('live')
      all()
    })
    opened.addEventListener('changed', (event) => {
      const { topics } = JSON.parse((event as MessageEvent<string>).data) as { topics: string[] }
      changed((query) => topics.some((topic) => touches(topic, query.queryKey)))
    })
    // What is shown says by itself that Redis is away, as soon as it asks.
    opened.addEventListener('away', all)
    opened.addEventListener('back', all)
    opened.onerror = () => {
      close()
      failures += 1
      hear('reconnecting')
      retry = setTimeout(open, backOff(failures, Math.random()))
      void readSession().catch(() => undefined) // whose session is over gets the sign-in page
    }
  }
  const look = () => {
    if (document.hidden) {
      close()
      hear('paused')
    } else if (!source) open()
  }
  document.addEventListener('visibilitychange', look)
  look()
  return () => {
    document.removeEventListener('visibilitychange', look)
    close()
    clearTimeout(reading)
  }
}
