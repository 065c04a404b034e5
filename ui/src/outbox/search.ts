import { texts } from '../texts'

const t = texts.outbox

/** What the address says: which kind, whose, and which entry is open. */
export interface OutboxSearch {
  kind?: string
  to?: string
  entry?: number
}

export function readOutboxSearch(search: Record<string, unknown>): OutboxSearch {
  const text = (name: string) => (search[name] === undefined || search[name] === '' ? undefined : String(search[name]))
  const entry = Number(search['entry'])
  const kind = text('kind')
  return { kind: kind !== undefined && kind in t.kinds ? kind : undefined, to: text('to'), entry: search['entry'] !== undefined && Number.isInteger(entry) && entry >= 0 ? entry : undefined }
}
