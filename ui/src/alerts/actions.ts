// What operators do with alerts. A silence is taken back by ending it, an ended one by setting it again; so
// are acknowledgements.
import { useQueryClient } from '@tanstack/react-query'
import { answered, api } from '../api/client'
import { failed, toast } from '../parts/toasting'
import { texts } from '../texts'
import { type Alert, ANY, type Silence } from './alerts'

const said = texts.alerts

type Which = Pick<Alert, 'rule' | 'subject'>

export const ALERTS = ['alerts'] as const

export function useAlertActions() {
  const client = useQueryClient()
  const look = () => client.invalidateQueries({ queryKey: ALERTS })

  const set = (rule: string, subject: string, seconds: number, reason: string) =>
    answered(api.POST('/api/v1/alerts/silences', { body: { rule, subject, seconds, reason } }))
  const end = (rule: string, subject: string) =>
    answered(api.DELETE('/api/v1/alerts/silences', { params: { query: { rule, subject } } }))

  /** Raises what the server says of it, for the form to show. */
  async function silence(rule: string, subject: string, seconds: number, reason: string) {
    await set(rule, subject, seconds, reason)
    toast({
      says: said.silent(rule, subject === ANY ? '' : subject),
      detail: said.stillJudged,
      undo: async () => {
        await end(rule, subject)
        await look()
        return said.toldAgainNow
      },
    })
    await look()
  }

  async function unsilence(silence: Silence) {
    try {
      await end(silence.rule, silence.subject)
      toast({
        says: said.toldAgainNow,
        undo: async () => {
          await set(silence.rule, silence.subject, Math.max(1, silence.until - Date.now() / 1000), silence.reason)
          await look()
          return said.silentAgain
        },
      })
    } catch (error) {
      failed(said.silenceNotEnded, error)
    }
    await look()
  }

  const takeOne = ({ rule, subject }: Which, note = '') => answered(api.POST('/api/v1/alerts/acknowledgements', { body: { rule, subject, note } }))
  const giveBack = ({ rule, subject }: Which) => answered(api.DELETE('/api/v1/alerts/acknowledgements', { params: { query: { rule, subject } } }))

  /** Raises what the server says of it, for a form to show. */
  async function acknowledgeWith(alerts: Alert[], note: string) {
    for (const alert of alerts) await takeOne(alert, note)
    toast({
      says: said.acknowledged,
      detail: said.acknowledgedDetail,
      undo: async () => {
        for (const alert of alerts) await giveBack(alert)
        await look()
        return said.takenBack
      },
    })
    await look()
  }

  const acknowledge = (alerts: Alert[]) =>
    acknowledgeWith(alerts, '').catch((error: unknown) => {
      failed(said.notAcknowledged, error)
      return look()
    })

  async function unacknowledge(alerts: Alert[]) {
    try {
      for (const alert of alerts) await giveBack(alert)
      toast({
        says: said.takenBack,
        undo: async () => {
          for (const alert of alerts) await takeOne(alert, alert.acknowledged?.note)
          await look()
          return said.inHandAgain
        },
      })
    } catch (error) {
      failed(said.notTakenBack, error)
    }
    await look()
  }

  return { silence, unsilence, acknowledge, acknowledgeWith, unacknowledge }
}
