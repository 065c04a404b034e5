// Settings as the page lists them, and keys as the form makes them.
import type { components } from '../api/schema'

export type Setting = components['schemas']['SettingRow']
export type Key = components['schemas']['KeyRow']
export type NewKey = components['schemas']['KeyRequest']

/** Those that have all the words, in name, value, group or doc; by group, in their order. */
export function find(settings: Setting[], text: string, changedOnly: boolean): [group: string, settings: Setting[]][] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean)
  const groups = new Map<string, Setting[]>()
  for (const setting of settings) {
    if (changedOnly && !setting.set) continue
    const said = `${setting.name} ${setting.value ?? ''} ${setting.group} ${setting.doc}`.toLowerCase()
    if (!words.every((word) => said.includes(word))) continue
    groups.set(setting.group, [...(groups.get(setting.group) ?? []), setting])
  }
  return [...groups]
}

export interface KeyDraft {
  name: string
  role: NewKey['role']
  /** Names with commas between; empty: all. */
  queues: string
  /** Days; 0: it does not end. */
  days: number
  /** As 100/s; empty: none. */
  rate: string
  note: string
}

export const EMPTY_KEY: KeyDraft = { name: '', role: 'enqueue', queues: '', days: 90, rate: '', note: '' }

/** now: epoch seconds. */
export function keyOf(draft: KeyDraft, now: number): NewKey {
  const queues = draft.queues.split(',').map((name) => name.trim()).filter(Boolean)
  return {
    name: draft.name.trim(),
    role: draft.role,
    queues: queues.length ? queues : null,
    expires: draft.days ? Math.round(now) + draft.days * 86_400 : null,
    rate: draft.rate.trim() || null,
    note: draft.note.trim(),
  }
}

/** The active first, then those that are being replaced, then what is over. */
export function inOrder(keys: Key[]): Key[] {
  const rank = ['active', 'replaced', 'expired', 'revoked']
  return [...keys].sort((a, b) => rank.indexOf(a.state) - rank.indexOf(b.state) || b.created - a.created)
}

/** Seconds before its end at which a key is worth a look. */
export const SOON = 14 * 86_400

export function endsSoon(key: Key, now: number): boolean {
  return key.state === 'active' && key.expires !== null && key.expires - now < SOON
}
