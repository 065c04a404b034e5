// The cursor of a list: j and k move it, Enter opens what it is at, x selects.
import { useEffect, useState } from 'react'
import { texts } from '../texts'
import { between, type Cursor, moved } from './cursor'
import { useKeys } from './useKeys'

interface Options {
  /** Opens a row; not needed where its first link or button does. */
  open?: (key: string) => void
  /** Selects a row or takes it out; `range` has all rows from the last one to this. */
  select?: (key: string) => void
  range?: (keys: string[]) => void
  /** Brings a row into the page that a long list has not drawn. */
  reveal?: (at: number) => void
  /** Off while another list of the page has the keys. */
  off?: boolean
}

/** What a row's element gets: `<tr {...cursor.row(key)}>`. */
export interface RowMarks {
  'data-row': string
  'data-cursor'?: true
  onFocus: () => void
}

/**
 * One cursor for the rows with these keys, in their order. It takes the focus along, to the first link or button of the
 * row: so Enter opens it and a screen reader reads it. A row that moves keeps the cursor.
 */
export function useCursor(keys: readonly string[], { open, select, range, reveal, off = false }: Options = {}) {
  const [cursor, setCursor] = useState<Cursor | null>(null)
  const [picked, setPicked] = useState<string | null>(null)
  const [goes, setGoes] = useState(0)
  const at = cursor && keys.includes(cursor.key) ? cursor.key : null
  const go = (by: number) => {
    const next = moved(cursor, keys, by)
    if (!next) return
    setCursor(next)
    reveal?.(next.at)
    setGoes((n) => n + 1)
  }
  const on = !off && keys.length > 0
  useKeys({
    j: on && { says: texts.keys.next, run: () => go(1) },
    k: on && { says: texts.keys.previous, run: () => go(-1) },
    Enter: on && { says: texts.keys.open, run: () => at !== null && open?.(at) },
    x: on && select && {
      says: texts.keys.select,
      run: () => {
        if (at === null) return
        setPicked(at)
        select(at)
      },
    },
    'Shift x': on && range && { says: texts.keys.range, run: () => at !== null && range(between(keys, picked, at)) },
  })
  useEffect(() => {
    if (goes === 0 || cursor === null) return
    // A long list draws the row in the next frame.
    const frame = requestAnimationFrame(() => {
      const row = document.querySelector(`[data-row="${CSS.escape(cursor.key)}"]`)
      if (!(row instanceof HTMLElement)) return
      row.scrollIntoView({ block: 'nearest' })
      const inside = row.querySelector<HTMLElement>('a[href], button:not([disabled])')
      if (!inside) row.tabIndex = -1
      ;(inside ?? row).focus({ preventScroll: true })
    })
    return () => cancelAnimationFrame(frame)
  }, [goes])
  const row = (key: string): RowMarks => ({
    'data-row': key,
    ...(key === at ? { 'data-cursor': true as const } : {}),
    onFocus: () => setCursor({ key, at: keys.indexOf(key) }),
  })
  return { at, row }
}
