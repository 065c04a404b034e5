/** The parts of the page, in their order. */
export const PARTS = ['force', 'keys', 'users', 'versions', 'sessions', 'appearance'] as const

export type Tab = (typeof PARTS)[number]

/** What the address says: which part, and what is looked for in it. */
export interface SettingsSearch {
  tab?: Tab
  q?: string
  changed?: boolean
}

export function readSettingsSearch(search: Record<string, unknown>): SettingsSearch {
  return {
    tab: PARTS.find((part) => part === search['tab']),
    q: search['q'] === undefined || search['q'] === '' ? undefined : String(search['q']),
    changed: search['changed'] === true || undefined,
  }
}
