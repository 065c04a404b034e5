// What the audit log says of a change, in words, and where it leads. Pure.
import { texts } from '../texts'

const said = texts.audit

/** `queue.pause` in words; one that has none as it is. */
export function actionWords(action: string): string {
  const whole = said.actions[action]
  if (whole !== undefined) return whole
  const at = action.lastIndexOf('.')
  const begun = said.actions[action.slice(0, at)]
  return begun === undefined ? action : said.ended(begun, action.slice(at + 1))
}

export type Area = keyof typeof said.areas

export const AREAS = Object.keys(said.areas) as Area[]

/** What the server calls it: operations over many jobs are about jobs too. */
export function areasOf(area: Area): string[] {
  return area === 'job' ? ['job', 'jobs'] : [area]
}

export type Leads =
  | { to: '/queues/$queue'; params: { queue: string } }
  | { to: '/queues/$queue/jobs/$id'; params: { queue: string; id: string } }
  | { to: '/dead'; search: { queue: string } }
  | { to: '/schedules'; search: { schedule: string } }

/** The page of what was changed; null: it has none. A queue's name has no colon, a job's id may have some. */
export function leadsTo(action: string, target: string): Leads | null {
  const [area] = action.split('.')
  const colon = target.indexOf(':')
  const queue = colon < 0 ? target : target.slice(0, colon)
  const id = colon < 0 ? '' : target.slice(colon + 1)
  if (queue === '') return null
  if (area === 'dead' && id === '') return { to: '/dead', search: { queue } }
  if (area === 'schedule') return id === '' || action === 'schedule.remove' ? null : { to: '/schedules', search: { schedule: `${queue} ${id}` } }
  if (area === 'job' || area === 'flow' || area === 'dead') return id === '' ? { to: '/queues/$queue', params: { queue } } : { to: '/queues/$queue/jobs/$id', params: { queue, id } }
  if (area === 'jobs' || area === 'queue' || area === 'group') return { to: '/queues/$queue', params: { queue } }
  return null
}
