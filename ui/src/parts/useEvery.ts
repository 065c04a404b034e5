import { every } from '../api/live'
import { useHearing } from './useLive'

/** How often a page asks: every so many milliseconds, or seldom while changes are told. For what a topic touches: see `api/live`. */
export function useEvery(milliseconds: number): number {
  return every(milliseconds, useHearing())
}
