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

/** Points that make a line. */
const LEAST_POINTS = 2

/** Of each `fold` minutes or hours in a row the most. */
export function fleetLines({ first, seconds, running, needed }: FleetPage, fold: number): FleetLines {
  const points = folded(running, fold)
  return { at: points.map((_, n) => first + n * fold * seconds), running: points, needed: folded(needed, fold) }
}

/** Whether there is enough to draw. */
export const isDrawable = ({ running }: FleetLines) => running.filter((value) => value !== null).length >= LEAST_POINTS
