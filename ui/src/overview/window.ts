// How far back the rates of the table of queues go. No I/O.

export const WINDOWS = [5, 15, 60] as const
export type Minutes = (typeof WINDOWS)[number]

/** What the band and the sidebar go by, and the table if nothing else is said. */
export const USUAL: Minutes = 5

/** What the address says; nothing for the usual. */
export interface OverviewSearch {
  minutes?: Minutes | undefined
}

export function readOverviewSearch(search: Record<string, unknown>): OverviewSearch {
  const minutes = WINDOWS.find((one) => one === Number(search['minutes']))
  // Said even if it is nothing: what is left out, the router takes from the address as it stands there.
  return { minutes: minutes === USUAL ? undefined : minutes }
}
