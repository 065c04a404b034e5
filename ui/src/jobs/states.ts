// The states of a job as the pages name and draw them.
import type { GlyphName } from '../parts/Icon'
import { texts } from '../texts'

const names = texts.joblist.states

export interface State {
  key: string
  name: string
  glyph: GlyphName
  tone: string
  /** The names under which the server counts its jobs. */
  counted: string[]
}

export const STATES: State[] = [
  { key: 'waiting', name: names.waiting, glyph: 'waiting', tone: 'waiting', counted: ['waiting', 'prioritized'] },
  { key: 'active', name: names.active, glyph: 'active', tone: 'active', counted: ['active'] },
  { key: 'delayed', name: names.delayed, glyph: 'delayed', tone: 'delayed', counted: ['delayed', 'held'] },
  { key: 'waiting-children', name: names['waiting-children'], glyph: 'children', tone: 'waiting', counted: ['waiting-children'] },
  { key: 'completed', name: names.completed, glyph: 'completed', tone: 'completed', counted: ['completed'] },
  { key: 'failed', name: names.failed, glyph: 'failed', tone: 'failed', counted: ['failed'] },
]

/** Of the tab: what a breaker holds stands among the delayed, and says so while there is any. */
export const tabOf = (state: State, held: number): Pick<State, 'name' | 'glyph' | 'tone'> =>
  state.key === 'delayed' && held > 0 ? { name: texts.joblist.delayedAndHeld, glyph: 'held', tone: 'failed' } : state

/** Where most of what waits is to be seen. */
export const waitingTab = (counts: Record<string, number>): string =>
  (counts['held'] ?? 0) > (counts['waiting'] ?? 0) + (counts['prioritized'] ?? 0) ? 'delayed' : 'waiting'

export const stateOf = (key: string): State => STATES.find((state) => state.key === key) ?? STATES[0]!

export function countOf(state: State, counts: Record<string, number>): number {
  return state.counted.reduce((sum, name) => sum + (counts[name] ?? 0), 0)
}
