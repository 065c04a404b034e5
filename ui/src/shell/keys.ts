// Which keys do something: names, chords, and what holds on a page. Pure: the listener is in useKeys.ts.

/** What a key does. */
export interface Deed {
  /** As the list of keys tells it. */
  says: string
  run: () => void
  /** It changes something: not while Redis is away. */
  acts?: boolean
}

/** Keys that one part of a page has, by name: `j`, `Shift x`, `g o`, `Mod k`. What does not apply is null or false. */
export type Keys = Record<string, Deed | null | false | undefined>

export interface Press {
  key: string
  shiftKey: boolean
  ctrlKey: boolean
  metaKey: boolean
  altKey: boolean
  repeat?: boolean
  isComposing?: boolean
}

/** The first key of a chord waits this long for the second. */
export const CHORD_MS = 1_200

/** Keys that one may hold down. */
const REPEATING = new Set(['j', 'k'])

/** The name of what was pressed; null for what is none of ours. Signs are as typed: `?` needs Shift on most keyboards. */
export function nameOf(press: Press): string | null {
  if (press.altKey || press.isComposing) return null
  const letter = /^\p{L}$/u.test(press.key)
  const key = letter ? press.key.toLowerCase() : press.key
  if (press.repeat && !REPEATING.has(key)) return null
  if (press.ctrlKey || press.metaKey) return press.shiftKey ? null : `Mod ${key}`
  return letter && press.shiftKey ? `Shift ${key}` : key
}

/** The first key of a chord, and until when it waits, in ms. */
export interface Pending {
  key: string
  until: number
}

/** What a press comes to: the name of what is to be done, or a chord that has begun, or neither. */
export function step(pending: Pending | null, name: string, now: number, known: ReadonlySet<string>): { does: string | null; pending: Pending | null } {
  if (pending && now <= pending.until && known.has(`${pending.key} ${name}`)) return { does: `${pending.key} ${name}`, pending: null }
  const begins = [...known].some((one) => one.startsWith(`${name} `))
  if (begins) return { does: null, pending: { key: name, until: now + CHORD_MS } }
  return { does: known.has(name) ? name : null, pending: null }
}

/** What holds when several parts have keys: the one that came last decides, key by key. */
export function holding(layers: readonly Keys[]): Map<string, Deed> {
  const all = new Map<string, Deed>()
  for (const layer of layers) {
    for (const [name, deed] of Object.entries(layer)) if (deed) all.set(name, deed)
  }
  return all
}

/** Keys to show for a name: `Mod k` is `Ctrl K`, or `⌘ K` on a Mac. */
export function caps(name: string, mac: boolean): string[] {
  return name.split(' ').map((key) => (key === 'Mod' ? (mac ? '⌘' : 'Ctrl') : name.startsWith('Mod ') ? key.toUpperCase() : key))
}

/** Who types, or is in a dialog or a menu, means the letters. */
const BUSY = 'input:not([type=checkbox], [type=radio], [type=range]), textarea, select, [contenteditable], dialog, [role=dialog], [role=menu], [role=listbox]'

/** Whether a press at this element is meant for a shortcut. Enter and Space on a button or link are its own. */
export function isFree(target: Pick<Element, 'closest'>, name: string): boolean {
  if (name.startsWith('Mod ')) return target.closest('dialog, [role=dialog]') === null
  if ((name === 'Enter' || name === ' ') && target.closest('a, button, summary, input, [role=tab]')) return false
  return target.closest(BUSY) === null
}
