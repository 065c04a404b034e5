/** What the address says: words that are looked for, of one queue, and which schedule is open: queue and id. */
export interface SchedulesSearch {
  q?: string
  queue?: string
  schedule?: string
}

export function readSchedulesSearch(search: Record<string, unknown>): SchedulesSearch {
  const text = (name: string) => (search[name] === undefined || search[name] === '' ? undefined : String(search[name]))
  return { q: text('q'), queue: text('queue'), schedule: text('schedule') }
}
