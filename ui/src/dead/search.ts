import { STATES, type State } from './groups'

/** What the address says: which groups, and which of them is open. */
export interface DeadSearch {
  state?: State | 'operations'
  queue?: string
  q?: string
  group?: string
  job?: string
  sort?: 'most'
}

export function readDeadSearch(search: Record<string, unknown>): DeadSearch {
  const text = (name: string) => (search[name] === undefined || search[name] === '' ? undefined : String(search[name]))
  const state = [...STATES, 'operations' as const].find((known) => known === search['state'])
  return { state: state === 'open' ? undefined : state, queue: text('queue'), q: text('q'), group: text('group'), job: text('job'), sort: search['sort'] === 'most' ? 'most' : undefined }
}
