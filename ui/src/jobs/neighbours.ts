// The job before and after one in the list that one came from: the list is still in the cache.
import type { QueryClient } from '@tanstack/react-query'

interface Listed {
  pages: { jobs: { id: string }[] }[]
}

export interface Neighbours {
  previous: string | null
  next: string | null
}

/** By the list of this queue that was read last and holds the job. */
export function neighbours(client: QueryClient, queue: string, id: string): Neighbours {
  const lists = client
    .getQueryCache()
    .findAll({ queryKey: ['jobs', queue] })
    .sort((a, b) => b.state.dataUpdatedAt - a.state.dataUpdatedAt)
  for (const list of lists) {
    const found = around(idsOf(list.state.data), id)
    if (found) return found
  }
  return { previous: null, next: null }
}

function idsOf(data: unknown): string[] {
  const pages = (data as Partial<Listed> | undefined)?.pages
  return Array.isArray(pages) ? pages.flatMap((page) => page.jobs.map((job) => job.id)) : []
}

export function around(ids: string[], id: string): Neighbours | null {
  const at = ids.indexOf(id)
  return at < 0 ? null : { previous: ids[at - 1] ?? null, next: ids[at + 1] ?? null }
}
