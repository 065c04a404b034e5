import { type Area, AREAS } from './words'

/** What the address says: words that are looked for, and what the changes are about. */
export interface AuditSearch {
  q?: string
  about?: Area
}

export function readAuditSearch(search: Record<string, unknown>): AuditSearch {
  return {
    q: search['q'] === undefined || search['q'] === '' ? undefined : String(search['q']),
    about: AREAS.find((area) => area === search['about']),
  }
}
