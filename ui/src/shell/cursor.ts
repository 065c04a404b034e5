// Where a list is read: by key, so that rows that come and go move nothing under the reader's eyes.

export interface Cursor {
  key: string
  /** Where it was: what is there now is next when its row is gone. */
  at: number
}

/** The row that is `by` further; the first one if there is none yet. */
export function moved(cursor: Cursor | null, keys: readonly string[], by: number): Cursor | null {
  if (keys.length === 0) return null
  const found = cursor === null ? -1 : keys.indexOf(cursor.key)
  const from = found >= 0 ? found : cursor === null ? -by : by > 0 ? cursor.at - by : cursor.at
  const at = Math.max(0, Math.min(keys.length - 1, from + by))
  return { key: keys[at]!, at }
}

/** All rows from one to another, in the order of the list; the second alone if the first is gone. */
export function between(keys: readonly string[], from: string | null, to: string): string[] {
  const start = from === null ? -1 : keys.indexOf(from)
  const end = keys.indexOf(to)
  if (end < 0) return []
  if (start < 0) return [to]
  return keys.slice(Math.min(start, end), Math.max(start, end) + 1)
}
