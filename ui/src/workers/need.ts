// How many worker processes lived and were needed, as lines to draw. Pure.
import type { components } from '../api/schema'
import { folded } from '../queues/series'

export type FleetPage = components['schemas']['FleetPage']

export interface FleetLines {
  at: number[]
  /** Processes; null where nobody looked. */
  running: (number | null)[]
  /** Null, too, where nobody could tell. */
  needed: (number | null)[]
}

/** Of each `fold` minutes or hours in a row the most. */
export function fleetLines({ first, seconds, running, needed }: FleetPage, fold: number): FleetLines {
  const points = folded(running, fold)
  return { at: points.map((_, n) => first + n * fold * seconds), running: points, needed: folded(needed, fold) }
}

/** Whether anybody looked: one point is drawn as one. */
export const isDrawable = ({ running }: FleetLines) => running.some((value) => value !== null)
