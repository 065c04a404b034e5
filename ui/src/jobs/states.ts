// The states of a job as the pages name and draw them.
import type { GlyphName } from '../parts/Icon'

export interface State {
  key: string
  name: string
  glyph: GlyphName
  tone: string
  /** The names under which the server counts its jobs. */
  counted: string[]
}

export const STATES: State[] = [
  { key: 'waiting', name: 'Waiting', glyph: 'waiting', tone: 'waiting', counted: ['waiting', 'prioritized'] },
  { key: 'active', name: 'Active', glyph: 'active', tone: 'active', counted: ['active'] },
  { key: 'delayed', name: 'Delayed', glyph: 'delayed', tone: 'delayed', counted: ['delayed', 'held'] },
  { key: 'waiting-children', name: 'Waiting for children', glyph: 'children', tone: 'waiting', counted: ['waiting-children'] },
  { key: 'completed', name: 'Completed', glyph: 'completed', tone: 'completed', counted: ['completed'] },
  { key: 'failed', name: 'Dead letters', glyph: 'failed', tone: 'failed', counted: ['failed'] },
]

export const stateOf = (key: string): State => STATES.find((state) => state.key === key) ?? STATES[0]!

export function countOf(state: State, counts: Record<string, number>): number {
  return state.counted.reduce((sum, name) => sum + (counts[name] ?? 0), 0)
}
