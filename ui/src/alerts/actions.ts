// What operators do with alerts. A silence is taken back by ending it, an ended one by setting it again.
import { useQueryClient } from '@tanstack/react-query'
import { answered, api } from '../api/client'
import { failed, toast } from '../parts/toasting'
import { ANY, type Silence } from './alerts'

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
      says: `Silent about ${rule}${subject === ANY ? '' : ` of ${subject}`}.`,
      detail: 'It goes on being judged.',
      undo: async () => {
        await end(rule, subject)
        await look()
        return 'It is told again.'
      },
    })
    await look()
  }

  async function unsilence(silence: Silence) {
    try {
      await end(silence.rule, silence.subject)
      toast({
        says: 'It is told again.',
        undo: async () => {
          await set(silence.rule, silence.subject, Math.max(1, silence.until - Date.now() / 1000), silence.reason)
          await look()
          return 'Silent as before.'
        },
      })
    } catch (error) {
      failed('The silence was not ended.', error)
    }
    await look()
  }

  return { silence, unsilence }
}
