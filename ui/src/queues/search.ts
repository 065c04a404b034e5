import { STATES } from '../jobs/states'

/** What of the list is in the address bar. */
export interface QueueSearch {
  state?: string
  q?: string
  oldest?: boolean
}

export function readSearch(search: Record<string, unknown>): QueueSearch {
  return {
    ...(STATES.some((state) => state.key === search['state']) ? { state: search['state'] as string } : {}),
    // The router reads numbers and words as such.
    ...(search['q'] != null && search['q'] !== '' ? { q: String(search['q']) } : {}),
    ...(typeof search['oldest'] === 'boolean' ? { oldest: search['oldest'] } : {}),
  }
}
