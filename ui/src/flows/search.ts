/** What the address says: of which queue, and which flow is open; `none`: none is. */
export interface FlowSearch {
  queue?: string
  flow?: string
}

export function readFlowSearch(search: Record<string, unknown>): FlowSearch {
  const text = (name: string) => (search[name] === undefined || search[name] === '' ? undefined : String(search[name]))
  return { queue: text('queue'), flow: text('flow') }
}
