import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { Menu } from '../parts/Menu'
import { Icon } from '../parts/Icon'
import { Confirm, Dialog } from '../parts/Dialog'
import { useMay } from '../parts/session'
import { say } from '../parts/toasting'
import { useAct } from '../parts/useAct'
import { cancelJob, changeJob, duplicateJob, type JobView, promoteJob, removeJob, retryJob } from './api'
import { type Copied, copyAs } from './copyAs'
import { EditData } from './EditData'
import { useKeys } from '../shell/useKeys'
import { texts } from '../texts'
import { AskNumber } from './AskNumber'
import { neighbour } from './neighbours'

type Asking = 'cancel' | 'remove' | 'edit' | 'priority' | 'delay' | null

/** The buttons of a job: those that its state and the role allow. */
export function JobActions({ job }: { job: JobView }) {
  const [asking, setAsking] = useState<Asking>(null)
  const may = useMay('operate')
  const navigate = useNavigate()
  const { act, busy } = useAct()
  const { queue, id } = job
  const close = () => setAsking(null)
  const ended = job.status === 'completed' || job.status === 'failed'
  const copy = (kind: Copied) => void navigator.clipboard.writeText(copyAs(kind, job)).then(() => say(`Copied as ${kind}.`))
  const retry = () => act({ run: () => retryJob(queue, id), done: `Job ${id} runs again.` })
  const promote = () => act({ run: () => promoteJob(queue, id), done: `Job ${id} waits no longer.` })
  const goTo = (other: string | null) => other !== null && void navigate({ to: '/queues/$queue/jobs/$id', params: { queue, id: other } })
  useKeys({
    r: may && ended && { says: texts.keys.retry, run: retry },
    p: may && job.status === 'delayed' && { says: texts.keys.promote, run: promote },
    e: may && !job.redacted && { says: texts.keys.edit, run: () => setAsking('edit') },
    c: !job.redacted && { says: texts.keys.copy, run: () => copy('curl') },
    '[': { says: texts.keys.previousJob, run: () => goTo(neighbour(queue, id, -1)) },
    ']': { says: texts.keys.nextJob, run: () => goTo(neighbour(queue, id, 1)) },
  })
  return (
    <div className="btn-row">
      {may && ended && (
        <button className="btn" disabled={busy} onClick={retry}>
          <Icon name="retry" />
          Retry
        </button>
      )}
      {may && job.status === 'delayed' && (
        <button className="btn" disabled={busy} onClick={promote}>
          <Icon name="play" />
          Promote
        </button>
      )}
      {may && !job.redacted && (
        <button className="btn" onClick={() => setAsking('edit')}>
          <Icon name="edit" />
          {ended ? 'Edit and retry' : 'Edit data'}
        </button>
      )}
      {may && (
        <button
          className="btn hide-narrow"
          disabled={busy}
          onClick={() =>
            act({
              run: () =>
                duplicateJob(queue, id).then((added) => void navigate({ to: '/queues/$queue/jobs/$id', params: { queue, id: added.id } })),
              done: `This is the duplicate of job ${id}.`,
            })
          }
        >
          <Icon name="add" />
          Duplicate
        </button>
      )}
      {!job.redacted && (
        <Menu
          choices={(['curl', 'command line', 'Python'] as const).map((kind) => ({ name: kind, run: () => copy(kind) }))}
        >
          <Icon name="copy" />
          Copy as
          <Icon name="down" />
        </Menu>
      )}
      {may && !ended && (
        <button className="btn danger" onClick={() => setAsking('cancel')}>
          Cancel…
        </button>
      )}
      {may && (
        <Menu
          label="Priority, delay, remove"
          choices={[
            ...(ended ? [] : [{ name: 'Change priority…', run: () => setAsking('priority') }]),
            ...(job.status === 'delayed' ? [{ name: 'Change delay…', run: () => setAsking('delay') }] : []),
            ...(job.status === 'active' ? [] : [{ name: 'Remove…', danger: true, run: () => setAsking('remove') }]),
          ]}
        >
          <Icon name="more" />
        </Menu>
      )}
      {asking === 'cancel' && (
        <Confirm
          title={`Cancel job ${id}?`}
          says={job.status === 'active' ? 'Its worker ends it within a second. What it has done so far stays done.' : 'It has not started: it is removed, with its children.'}
          verb="Cancel the job"
          busy={busy}
          onClose={close}
          onConfirm={() => act({ run: () => cancelJob(queue, id), done: `Job ${id} is cancelled.`, then: close })}
        />
      )}
      {asking === 'remove' && (
        <Confirm
          title={`Remove job ${id}?`}
          says="The job goes with its data, result and logs. It cannot be brought back."
          verb="Remove the job"
          busy={busy}
          onClose={close}
          onConfirm={() =>
            act({
              run: () => removeJob(queue, id),
              done: `Job ${id} is removed.`,
              then: () => void navigate({ to: '/queues/$queue', params: { queue } }),
            })
          }
        />
      )}
      {asking === 'priority' && (
        <AskNumber title={`Priority of job ${id}`} label="Priority; lower runs first, 0: before all that have one" value={job.priority} most={2_097_151} verb="Change priority" busy={busy} onClose={close}
          onDone={(priority) =>
            act({ run: () => changeJob(queue, id, { priority }), done: `Job ${id} has priority ${priority}.`, undo: () => changeJob(queue, id, { priority: job.priority }), then: close })
          }
        />
      )}
      {asking === 'delay' && (
        <AskNumber title={`Delay of job ${id}`} label="Seconds from now" value={60} most={31_622_400} verb="Change delay" busy={busy} onClose={close}
          onDone={(delay) => act({ run: () => changeJob(queue, id, { delay }), done: `Job ${id} starts in ${delay} s.`, then: close })}
        />
      )}
      {asking === 'edit' && (
        <Dialog title={ended ? `Edit and retry job ${id}` : `Data of job ${id}`} onClose={close} wide>
          <EditData
            value={job.data}
            verb={ended ? 'Save and retry' : 'Save'}
            busy={busy}
            onClose={close}
            onDone={(data) =>
              act({
                run: () => changeJob(queue, id, { data }).then(() => (ended ? retryJob(queue, id) : undefined)),
                done: ended ? `Job ${id} runs again with other data.` : `Job ${id} has other data.`,
                then: close,
              })
            }
          />
        </Dialog>
      )}
    </div>
  )
}
