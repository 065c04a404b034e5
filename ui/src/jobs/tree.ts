// JSON as the rows of a tree: only what is open, so that large data stays cheap.
import { Digits } from '../api/exact'

export interface Row {
  path: string
  /** As one writes it in code: user.items[0]. */
  at: string
  depth: number
  key: string
  kind: 'text' | 'number' | 'word' | 'branch' | 'hidden' | 'more'
  text: string
  open: boolean
  value: unknown
}

/** Rows of one branch that are shown; the rest is counted. */
const MOST = 200

/** Stands where the server has hidden a value. */
export function isHidden(value: unknown): boolean {
  return typeof value === 'object' && value !== null && (value as Record<string, unknown>)['$corral:hidden'] === true
}

/** Something with parts to show. */
export function isBranch(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !(value instanceof Digits) && !isHidden(value)
}

export function rows(name: string, value: unknown, isOpen: (path: string, depth: number) => boolean): Row[] {
  const found: Row[] = []
  add('$', '', name, value, 0)
  return found

  function add(path: string, at: string, key: string, item: unknown, depth: number) {
    if (!isBranch(item)) {
      found.push({ path, at: at || key, depth, key, open: false, value: item, ...leaf(item) })
      return
    }
    const entries = branches(item)
    const open = entries.length > 0 && isOpen(path, depth)
    const noun = Array.isArray(item) ? 'item' : 'field'
    found.push({ path, at: at || key, depth, key, kind: 'branch', text: `${entries.length} ${noun}${entries.length === 1 ? '' : 's'}`, open, value: item })
    if (!open) return
    for (const [inner, below] of entries.slice(0, MOST)) add(`${path}.${inner}`, step(at, inner, Array.isArray(item)), inner, below, depth + 1)
    if (entries.length > MOST) {
      found.push({ path: `${path}…`, at: at || key, depth: depth + 1, key: '…', kind: 'more', text: String(entries.length - MOST), open: false, value: null })
    }
  }
}

function branches(item: object): (readonly [string, unknown])[] {
  return Array.isArray(item) ? item.map((one, n) => [String(n), one] as const) : Object.entries(item)
}

function step(at: string, key: string, inList: boolean): string {
  if (inList) return `${at}[${key}]`
  if (!/^[A-Za-z_$][\w$]*$/.test(key)) return `${at}[${JSON.stringify(key)}]`
  return at ? `${at}.${key}` : key
}

function leaf(value: unknown): Pick<Row, 'kind' | 'text'> {
  if (isHidden(value)) return { kind: 'hidden', text: '' }
  if (typeof value === 'string') return { kind: 'text', text: JSON.stringify(value) }
  if (value instanceof Digits) return { kind: 'number', text: value.text }
  if (typeof value === 'number') return { kind: 'number', text: String(value) }
  return { kind: 'word', text: String(value) }
}

export interface Hits {
  /** Branches to open so that every hit shows. */
  above: ReadonlySet<string>
  /** Rows that fit. */
  fit: ReadonlySet<string>
}

/** Values looked at by a search. */
const LOOKED_AT = 20_000

/** Where a text occurs in names and values, whatever its case. */
export function search(value: unknown, wanted: string): Hits {
  const above = new Set<string>()
  const fit = new Set<string>()
  const low = wanted.toLowerCase()
  let looked = 0
  walk('$', '', value, [])
  return { above, fit }

  function walk(path: string, key: string, item: unknown, over: string[]) {
    if ((looked += 1) > LOOKED_AT) return
    const branch = isBranch(item)
    if (key.toLowerCase().includes(low) || (!branch && leaf(item).text.toLowerCase().includes(low))) {
      fit.add(path)
      for (const one of over) above.add(one)
    }
    if (branch) for (const [inner, below] of branches(item)) walk(`${path}.${inner}`, inner, below, [...over, path])
  }
}
