// What the page of alerts decides: the order, who looks, a value in its unit, where an alert leads. No I/O.
import type { components } from '../api/schema'
import { ago, count, span } from '../format'
import type { GlyphName } from '../parts/Icon'
import { texts } from '../texts'

const said = texts.alerts

type Schemas = components['schemas']
export type AlertsNow = Schemas['AlertsNow']
export type Alert = Schemas['AlertRow']
export type Rule = Schemas['RuleRow']
export type Limits = Schemas['LimitsRow']
export type Channel = Schemas['ChannelRow']
export type Silence = Schemas['SilenceRow']

/** Nobody has looked for so long: whoever should is gone. */
const LATE_SECONDS = 120

export const ANY = '*'

const SEVERITY: Record<string, number> = { critical: 0, warning: 1, info: 2 }

/** Firing before pending, told before silenced and what somebody has in hand, critical before others, the newest first. */
export function worstFirst(alerts: Alert[]): Alert[] {
  const key = (alert: Alert) => [
    alert.state === 'firing' ? 0 : 1,
    alert.silenced || alert.acknowledged ? 1 : 0,
    SEVERITY[alert.severity] ?? 3,
    -(alert.firedAt ?? alert.since),
  ]
  return [...alerts].sort((a, b) => {
    const [x, y] = [key(a), key(b)]
    for (let at = 0; at < x.length; at += 1) if (x[at] !== y[at]) return x[at]! - y[at]!
    return `${a.rule} ${a.subject}`.localeCompare(`${b.rule} ${b.subject}`)
  })
}

/** How many want somebody: not what is silenced, nor what somebody has in hand. */
export function firing(alerts: Alert[]): number {
  return alerts.filter((alert) => alert.state === 'firing' && !alert.silenced && !alert.acknowledged).length
}

/** Whether anybody judges the rules, in one sentence. */
export function watch(now: AlertsNow, at: number): { says: string; bad: boolean } {
  if (now.evaluatedAt === null) {
    return { says: said.nobodyJudges, bad: true }
  }
  if (at - now.evaluatedAt > LATE_SECONDS) return { says: said.judgedLate(ago(now.evaluatedAt, at)), bad: true }
  return { says: said.judged(ago(now.evaluatedAt, at), now.leader.split(':', 2).join(said.process)), bad: false }
}

export function sign(alert: Pick<Alert, 'state' | 'severity' | 'silenced' | 'acknowledged'>): { glyph: GlyphName; tone: string; word: string } {
  if (alert.silenced) return { glyph: 'paused', tone: 'quiet', word: said.words.silenced }
  if (alert.state !== 'firing') return { glyph: 'next', tone: 'is-limited', word: said.words.pending }
  if (alert.acknowledged) return { glyph: 'alert', tone: 'quiet', word: said.inHand }
  return { glyph: 'alert', tone: alert.severity === 'critical' ? 'is-failed' : 'is-limited', word: alert.severity }
}

/** A value as the rule means it. */
export function written(value: number, unit: string): string {
  if (unit === 'share') return `${Number((value * 100).toPrecision(3))}\u00a0%`
  return unit === 'seconds' ? span(value) : count(value)
}

/** When a rule fires, in words. */
export function condition(rule: Rule, limits: Limits = rule.limits): string {
  const lasts = limits.forSeconds ? said.forTime(span(limits.forSeconds)) : ''
  const least = limits.minimum ? said.leastJobs(count(limits.minimum)) : ''
  // What fires over nothing is something that is so or is not.
  if (limits.fire === 0) return `${limits.forSeconds ? said.onceItLasts(span(limits.forSeconds)) : said.atOnce}${least}`
  return `${said.over(written(limits.fire, rule.unit))}${lasts}${least}`
}

export type Leads = { name: string } & (
  | { to: '/dead'; search: { queue: string } }
  | { to: '/queues/$queue'; params: { queue: string } }
  | { to: '/schedules'; search: { schedule: string } }
  | { to: '/redis' | '/workers' }
)

const OF_QUEUES = ['waiting', 'run-time', 'oldest-waiting', 'no-workers', 'paused', 'stalled', 'unknown-names']

/** The page where an alert is looked into; null: there is none, as for a breaker, which is repaired where one is. */
export function leadsTo({ rule, subject }: Pick<Alert, 'rule' | 'subject'>): Leads | null {
  if (rule === 'dead-letters' || rule === 'failure-rate') return { to: '/dead', search: { queue: subject }, name: said.seeDead }
  if (OF_QUEUES.includes(rule)) return { to: '/queues/$queue', params: { queue: subject }, name: said.seeQueue }
  if (rule === 'schedule-late') return { to: '/schedules', search: { schedule: subject.replace('/', ' ') }, name: said.seeSchedule }
  if (rule === 'version-skew') return { to: '/workers', name: said.seeWorkers }
  if (rule === 'redis-memory' || rule.startsWith('persistence-')) return { to: '/redis', name: said.seeRedis }
  return null
}

/** The breaker that an alert is about and that can be tried now; null: it is about none. */
export function breakerOf({ rule, subject, state }: Pick<Alert, 'rule' | 'subject' | 'state'>): string | null {
  return rule === 'breaker-open' && state === 'firing' ? subject : null
}

/** `user:ada`, `cli:ada@host`, `key:ops`: the name alone. */
export function whoOf(actor: string): string {
  return actor.slice(actor.indexOf(':') + 1)
}

export function covers(silence: Silence, alert: Pick<Alert, 'rule' | 'subject'>): boolean {
  return (silence.rule === ANY || silence.rule === alert.rule) && (silence.subject === ANY || silence.subject === alert.subject)
}
