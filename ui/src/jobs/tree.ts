// JSON as the rows of a tree: only what is open, so that large data stays cheap.

export interface Row {
  path: string
  depth: number
  key: string
  kind: 'text' | 'number' | 'word' | 'branch'
  text: string
  open: boolean
}

/** Rows of one branch that are shown; the rest is counted. */
const MOST = 200

export function rows(name: string, value: unknown, isOpen: (path: string, depth: number) => boolean): Row[] {
  const found: Row[] = []
  add('$', name, value, 0)
  return found

  function add(path: string, key: string, at: unknown, depth: number) {
    if (typeof at !== 'object' || at === null) {
      found.push({ path, depth, key, open: false, ...leaf(at) })
      return
    }
    const entries = Array.isArray(at) ? at.map((item, n) => [String(n), item] as const) : Object.entries(at)
    const open = entries.length > 0 && isOpen(path, depth)
    const noun = Array.isArray(at) ? 'item' : 'field'
    found.push({ path, depth, key, kind: 'branch', text: `${entries.length} ${noun}${entries.length === 1 ? '' : 's'}`, open })
    if (!open) return
    for (const [inner, item] of entries.slice(0, MOST)) add(`${path}.${inner}`, inner, item, depth + 1)
    if (entries.length > MOST) {
      found.push({ path: `${path}…`, depth: depth + 1, key: '…', kind: 'word', text: `${entries.length - MOST} more`, open: false })
    }
  }
}

function leaf(value: unknown): Pick<Row, 'kind' | 'text'> {
  if (typeof value === 'string') return { kind: 'text', text: JSON.stringify(value) }
  if (typeof value === 'number') return { kind: 'number', text: String(value) }
  return { kind: 'word', text: String(value) }
}
