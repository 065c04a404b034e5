// Which alerts a band is about, and whether somebody has them in hand. No I/O.
import type { Alert } from '../alerts/alerts'
import type { Incident } from './incident'

const RULES = {
  unserved: ['no-workers', 'oldest-waiting', 'waiting'],
  rising: ['dead-letters', 'failure-rate'],
  behind: ['oldest-waiting', 'waiting'],
}

export interface BandAlerts {
  firing: Alert[]
  /** When it was told first; none: nobody was told. */
  toldAt?: number
  /** Somebody has all of it in hand: who did last. */
  inHand?: NonNullable<Alert['acknowledged']>
}

/** What fires about an incident; null: nothing does. */
export function bandAlerts(incident: Pick<Incident, 'kind' | 'queue' | 'repair'>, alerts: Alert[]): BandAlerts | null {
  const { kind, queue, repair } = incident
  const isAbout = ({ rule, subject }: Alert) =>
    kind === 'held' ? repair.does === 'resume' && rule === 'breaker-open' && subject === repair.breaker : subject === queue && RULES[kind].includes(rule)
  const firing = alerts.filter((alert) => alert.state === 'firing' && isAbout(alert))
  if (firing.length === 0) return null
  const told = firing.flatMap((alert) => alert.toldAt ?? [])
  const taken = firing.flatMap((alert) => alert.acknowledged ?? [])
  return {
    firing,
    ...(told.length > 0 && { toldAt: Math.min(...told) }),
    ...(taken.length === firing.length && { inHand: taken.sort((a, b) => b.at - a.at)[0]! }),
  }
}
