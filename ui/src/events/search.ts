/** What the address says: the filter, as it is typed. */
export interface EventsSearch {
  q?: string
}

export function readEventsSearch(search: Record<string, unknown>): EventsSearch {
  return { q: search['q'] === undefined || search['q'] === '' ? undefined : String(search['q']) }
}
