// Operations on many jobs in words: what can be done to which, how one stands, and how it ended.
import type { components } from '../api/schema'
import { count } from '../format'
import { texts } from '../texts'

export type JobsOperation = components['schemas']['JobsOperationView']
export type Kind = JobsOperation['kind']

/** What can be done to jobs of a state, the likely first. */
export const FITTING: Record<string, Kind[]> = {
  waiting: ['priority', 'cancel'],
  active: ['cancel'],
  delayed: ['promote', 'delay', 'priority', 'cancel'],
  'waiting-children': ['cancel'],
  completed: ['retry', 'remove'],
  failed: ['retry', 'remove'],
}

/** Jobs of one request that names them. */
export const MOST_NAMED = 1_000

/** What cannot be taken back, so that it asks first. Failed jobs go into the bin. */
export const isFinal = (kind: Kind, state: string): boolean => kind === 'cancel' || (kind === 'remove' && state !== 'failed')

/** So many jobs are not cancelled by a slip of the hand. */
const MANY = 100

/** Whether the name of the queue has to be typed: nothing brings removed jobs back, nor many cancelled ones. */
export const isTyped = (kind: Kind, state: string, jobs: number): boolean => isFinal(kind, state) && (kind === 'remove' || jobs >= MANY)

export const isOver = ({ state }: Pick<JobsOperation, 'state'>): boolean => state === 'done' || state === 'stopped'

/** 412 promoted, 3 were already running. */
export function outcome({ kind, moved, gone, why }: Pick<JobsOperation, 'kind' | 'moved' | 'gone' | 'why'>): string {
  const told = Object.entries(why).filter(([, jobs]) => jobs > 0).sort((a, b) => b[1] - a[1])
  const rest = gone - told.reduce((sum, [, jobs]) => sum + jobs, 0)
  return [
    texts.joblist.did[kind](count(moved)),
    ...told.map(([name, jobs]) => texts.joblist.were(count(jobs), jobs === 1, name)),
    ...(rest > 0 ? [texts.joblist.stayed(count(rest))] : []),
  ].join(', ')
}

/** How far it is, of one; null: it is not known yet how many they are. */
export function share({ total, moved, gone, selected }: Pick<JobsOperation, 'total' | 'moved' | 'gone' | 'selected'>): number | null {
  if (!selected) return null
  return total === 0 ? 1 : (moved + gone) / total
}

/** Paces in jobs a second; null: as fast as it goes. */
export const PACES: (number | null)[] = [null, 1_000, 100, 10, 1]
