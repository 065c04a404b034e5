// What changed lately, in words, for the list beside the chart. Pure.
import type { Alert } from '../alerts/alerts'
import { capital } from '../format'
import type { GlyphName } from '../parts/Icon'
import type { Change } from '../queues/marks'
import { texts } from '../texts'

export interface Told {
  glyph: GlyphName
  tone: '' | 'is-failed'
  says: string
  more: string
}

const say = texts.overview

export function told(change: Change): Told {
  switch (change.kind) {
    case 'deploy':
      return { glyph: 'deploy', tone: '', says: say.deploy(change.what.split('@').at(-1)!), more: '' }
    case 'scaling':
      return { glyph: 'scaled', tone: '', says: say.scaled(change.before ?? 0, change.after ?? 0), more: texts.workers.because(change.subject, change.detail) }
    case 'fired':
      return { glyph: 'alert', tone: 'is-failed', says: say.firedAlert(change.what), more: change.detail || change.subject }
    case 'resolved':
      return { glyph: 'completed', tone: '', says: say.resolvedAlert(change.what), more: change.subject }
    case 'audit':
      return { glyph: 'key', tone: '', says: capital(change.what.replace('.', ' ')), more: say.did(who(change.detail), change.subject) }
  }
}

/** Whether it tells that this alert, which still fires, began to. */
export function isBeginning(change: Change, alert: Alert): boolean {
  return change.kind === 'fired' && change.what === alert.title && change.subject === alert.subject && change.at >= (alert.firedAt ?? alert.since)
}

/** `user:mia`, `cli:mia@host`, `key:ops`: the name alone, as people say it. */
function who(actor: string): string {
  return actor.includes(':') ? actor.slice(actor.indexOf(':') + 1) : actor
}
