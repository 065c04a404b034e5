// The pages, in the order of the sidebar.
import type { IconName } from '../parts/Icon'
import { texts } from '../texts'

export interface Place {
  to: string
  hash?: string
  name: string
  icon: IconName
  /** The second key of `g …`. */
  key: string
  /** Above or below the line in the sidebar. */
  part: 'work' | 'around'
  /** Only where providers are stand-ins. */
  sandbox?: true
}

const names = texts.shell.places

export const PLACES: readonly Place[] = [
  { to: '/', name: names.overview, icon: 'overview', key: 'o', part: 'work' },
  { to: '/', hash: 'queues', name: names.queues, icon: 'queues', key: 'q', part: 'work' },
  { to: '/dead', name: names.dead, icon: 'dead', key: 'd', part: 'work' },
  { to: '/workers', name: names.workers, icon: 'workers', key: 'w', part: 'work' },
  { to: '/schedules', name: names.schedules, icon: 'clock', key: 's', part: 'work' },
  { to: '/flows', name: names.flows, icon: 'flows', key: 'f', part: 'work' },
  { to: '/alerts', name: names.alerts, icon: 'alerts', key: 'a', part: 'around' },
  { to: '/events', name: names.events, icon: 'events', key: 'e', part: 'around' },
  { to: '/audit', name: names.audit, icon: 'audit', key: 'u', part: 'around' },
  { to: '/redis', name: names.redis, icon: 'redis', key: 'r', part: 'around' },
  { to: '/checklist', name: names.checklist, icon: 'help', key: 'c', part: 'around' },
  { to: '/outbox', name: names.outbox, icon: 'outbox', key: 'b', part: 'around', sandbox: true },
  { to: '/settings', name: names.settings, icon: 'settings', key: 't', part: 'around' },
]

/** The page's name for the browser's tab: what is open first, so that a narrow tab still tells it. */
export function titleOf(pathname: string): string {
  const [first = '', second, , fourth] = pathname.split('/').filter(Boolean).map(decode)
  const place = PLACES.find((one) => one.to === `/${first}`)
  const parts = first === 'queues' && second ? [...(fourth ? [fourth] : []), second] : second ? [second, place?.name ?? first] : [place?.name ?? first]
  return [...parts, texts.shell.product].join(' · ')
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
