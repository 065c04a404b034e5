import { useNavigate } from '@tanstack/react-router'
import type { Choice } from '../parts/Menu'
import { useMay } from '../api/session'
import { say } from '../parts/toasting'
import { useAct } from '../parts/useAct'
import { texts } from '../texts'
import { duplicateJob, promoteJob, retryJob } from './api'

const FINISHED = ['completed', 'failed']

/** What the menu of a row offers: what can be taken back or repeated; the rest is on the job's page. */
export function useRowChoices(queue: string, state: string): (id: string) => Choice[] {
  const { act } = useAct()
  const may = useMay('operate')
  const navigate = useNavigate()
  const t = texts.joblist
  return (id) => [
    { name: t.open, icon: 'play', reads: true, run: () => void navigate({ to: '/queues/$queue/jobs/$id', params: { queue, id } }) },
    { name: t.copyId, icon: 'copy', reads: true, run: () => void navigator.clipboard.writeText(id).then(() => say(t.copied(id))) },
    ...(may && FINISHED.includes(state) ? [{ name: t.verbs.retry, icon: 'retry' as const, run: () => act({ run: () => retryJob(queue, id), done: t.did.retry('1') }) }] : []),
    ...(may && state === 'delayed' ? [{ name: t.verbs.promote, icon: 'play' as const, run: () => act({ run: () => promoteJob(queue, id), done: t.did.promote('1') }) }] : []),
    ...(may
      ? [
          {
            name: t.duplicate,
            icon: 'add' as const,
            run: () => {
              let added = ''
              act({
                run: async () => {
                  added = (await duplicateJob(queue, id)).id
                },
                done: '',
                then: () => say(t.duplicated(added)),
              })
            },
          },
        ]
      : []),
  ]
}
